//! How many tokens the calls of the ledger would have had elsewhere.

use mlk8s_llm::row::{Class, Row, Status};
use serde_json::Value;

/// Tokens of `model` for each token in the ledger, of requests and of answers, and the share of batch calls.
pub(super) fn ratios(sample: &[Row], model: &str) -> (f64, f64, f64) {
    let mut here = [0.0, 0.0];
    let mut there = [0.0, 0.0];
    let mut batch = 0.0;
    for row in sample.iter().filter(|row| row.status == Status::Done) {
        batch += f64::from(u8::from(row.class == Class::Batch));
        let (request, answer) = texts(row);
        if request.is_empty() || row.prompt_tokens == 0 {
            continue;
        }
        let request: Vec<(&str, &str)> = request
            .iter()
            .map(|(role, text)| (role.as_str(), text.as_str()))
            .collect();
        here[0] += row.prompt_tokens as f64;
        there[0] += mlk8s_llm::count::messages(model, &request).0 as f64;
        here[1] += row.completion_tokens as f64;
        there[1] += mlk8s_llm::count::tokens(model, &answer).0 as f64;
    }
    let ratio = |i: usize| {
        if here[i] > 0.0 {
            there[i] / here[i]
        } else {
            1.0
        }
    };
    let n = sample
        .iter()
        .filter(|row| row.status == Status::Done)
        .count()
        .max(1);
    (ratio(0), ratio(1), batch / n as f64)
}

/// What was sent, with roles, and what came back, out of the ledger.
pub(in super::super) fn texts(row: &Row) -> (Vec<(String, String)>, String) {
    let request: Value = serde_json::from_str(&row.request).unwrap_or_default();
    let response: Value = serde_json::from_str(&row.response).unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut said: Vec<(String, String)> = request["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|message| (word(&message["role"]), word(&message["content"])))
        .collect();
    if let Some(prompt) = request["prompt"].as_str() {
        said.push(("user".to_owned(), prompt.to_owned()));
    }
    let choice = &response["choices"][0];
    let answer = choice["message"]["content"]
        .as_str()
        .or(choice["text"].as_str());
    (said, answer.unwrap_or_default().to_owned())
}

pub(super) fn scaled(tokens: i64, ratio: f64) -> u64 {
    (tokens.max(0) as f64 * ratio).round() as u64
}
