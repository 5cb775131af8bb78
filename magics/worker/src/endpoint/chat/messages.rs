//! The turns of a conversation, as templates want them: each a role and one text.

use serde_json::{Value, json};

use crate::fields::{Fields, wrong};
use crate::refusal::Refusal;

/// Reads the field `messages`.
pub(super) fn read(value: &Value) -> Result<Vec<Value>, Refusal> {
    let turns = value
        .as_array()
        .ok_or_else(|| wrong("messages", "an array", value))?;
    if turns.is_empty() {
        return Err(Refusal::invalid("messages", "`messages` is empty"));
    }
    turns
        .iter()
        .enumerate()
        .map(|(at, turn)| message(&format!("messages[{at}]"), turn))
        .collect()
}

fn message(name: &str, turn: &Value) -> Result<Value, Refusal> {
    let fields = Fields::of(turn).map_err(|_| wrong(name, "an object", turn))?;
    let role = match turn["role"].as_str() {
        // Only OpenAI's newest models tell the two apart.
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        Some(role @ ("tool" | "function")) => {
            return Err(Refusal::unsupported(
                format!("{name}.role"),
                format!("`{name}` has the role `{role}`, and this server calls no tools"),
            ));
        }
        _ => {
            return Err(Refusal::invalid(
                format!("{name}.role"),
                format!("the role of `{name}` must be `system`, `user` or `assistant`"),
            ));
        }
    };
    for field in ["tool_calls", "function_call", "audio"] {
        let asks = fields
            .get(field)
            .is_some_and(|value| value.as_array().is_none_or(|calls| !calls.is_empty()));
        if asks {
            return Err(Refusal::unsupported(
                format!("{name}.{field}"),
                format!(
                    "`{name}.{field}` is not supported: this server reads and writes text only"
                ),
            ));
        }
    }
    let content = match fields.get("content") {
        None if role == "assistant" => String::new(),
        None => {
            return Err(Refusal::invalid(
                format!("{name}.content"),
                format!("`{name}` has no content"),
            ));
        }
        Some(content) => text(&format!("{name}.content"), content)?,
    };
    let mut message = json!({ "role": role, "content": content });
    if let Some(person) = turn["name"].as_str() {
        message["name"] = person.into();
    }
    Ok(message)
}

/// A content: a string, or parts that are texts.
fn text(name: &str, content: &Value) -> Result<String, Refusal> {
    let parts = match content {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        _ => return Err(wrong(name, "a string or an array of parts", content)),
    };
    let mut whole = String::new();
    for (at, part) in parts.iter().enumerate() {
        let name = format!("{name}[{at}]");
        match (part["type"].as_str(), part["text"].as_str()) {
            (Some("text"), Some(text)) => whole.push_str(text),
            (Some("text"), None) => return Err(wrong(&name, "a text", &part["text"])),
            (Some(kind), _) => {
                return Err(Refusal::unsupported(
                    name.clone(),
                    format!("`{name}` is of type `{kind}`, and this model reads text only"),
                ));
            }
            (None, _) => return Err(wrong(&name, "an object with a type", part)),
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_one_text() {
        let read = read(&json!([
            { "role": "developer", "content": "be short" },
            { "role": "user", "name": "ada", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
            { "role": "assistant", "content": null },
        ]));
        let wanted = vec![
            json!({ "role": "system", "content": "be short" }),
            json!({ "role": "user", "name": "ada", "content": "ab" }),
            json!({ "role": "assistant", "content": "" }),
        ];
        assert_eq!(read.unwrap(), wanted);
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_place() {
        let param = |messages: Value| {
            let body = read(&messages).unwrap_err().body();
            body["error"]["param"].as_str().unwrap().to_owned()
        };
        let image = json!([{ "role": "user", "content": [
            { "type": "text", "text": "what is it?" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } },
        ]}]);
        assert_eq!(param(image), "messages[0].content[1]");
        assert_eq!(param(json!([])), "messages");
        assert_eq!(param(json!("hello")), "messages");
        assert_eq!(param(json!([{ "role": "user" }])), "messages[0].content");
        assert_eq!(param(json!([{ "content": "a" }])), "messages[0].role");
        assert_eq!(
            param(json!([{ "role": "tool", "content": "a" }])),
            "messages[0].role"
        );
        let calls = json!([{ "role": "assistant", "tool_calls": [{ "id": "1" }] }]);
        assert_eq!(param(calls), "messages[0].tool_calls");
    }
}
