//! Probabilities of tokens, in the two forms that OpenAI gives them.

use mlk8s_generate::{Text, TokenLogprob};
use serde_json::{Map, Value, json};

/// A token and its probabilities.
pub(crate) type Told = (u32, TokenLogprob);

/// As chat gives them: one object a token.
pub(crate) fn chat(text: &Text, told: &[Told]) -> Value {
    let one = |token: u32, logprob: f32| {
        let bytes = text.token_bytes(token);
        json!({
            "token": String::from_utf8_lossy(&bytes),
            "logprob": finite(logprob),
            "bytes": bytes,
        })
    };
    let tokens: Vec<Value> = told
        .iter()
        .map(|(token, of)| {
            let mut entry = one(*token, of.logprob);
            let top = of.top.iter().map(|(token, logprob)| one(*token, *logprob));
            entry["top_logprobs"] = top.collect();
            entry
        })
        .collect();
    json!({ "content": tokens, "refusal": null })
}

/// As the older endpoint gives them: one list for each property. `offset` is where the first token begins in the answer,
/// in characters.
pub(crate) fn text(text: &Text, told: &[Told], mut offset: usize) -> Value {
    let shown = |token: u32| String::from_utf8_lossy(&text.token_bytes(token)).into_owned();
    let mut offsets = Vec::with_capacity(told.len());
    let mut tokens = Vec::with_capacity(told.len());
    let mut tops = Vec::with_capacity(told.len());
    for (token, of) in told {
        let name = shown(*token);
        offsets.push(offset);
        offset += name.chars().count();
        tokens.push(name);
        let top = of
            .top
            .iter()
            .map(|(token, logprob)| (shown(*token), finite(*logprob).into()));
        tops.push(Value::Object(top.collect::<Map<String, Value>>()));
    }
    let logprobs: Vec<f32> = told.iter().map(|(_, of)| finite(of.logprob)).collect();
    json!({
        "tokens": tokens,
        "token_logprobs": logprobs,
        "top_logprobs": tops,
        "text_offset": offsets,
    })
}

/// JSON has no infinity; OpenAI writes this number for a token that cannot be.
fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}
