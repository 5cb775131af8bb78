//! Texts of a request: a string, several, token ids, or several lists of those.

use serde_json::Value;

use crate::fields::wrong;
use crate::refusal::Refusal;

/// Most inputs of one request, as OpenAI has it.
const MOST: usize = 2048;
/// What an input can be.
const WANTED: &str = "a string, token ids, or an array of one of these";

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// In letters.
    Text(String),
    /// In the model's tokens.
    Tokens(Vec<u32>),
}

/// Reads the field `name`.
pub(super) fn read(name: &str, value: &Value) -> Result<Vec<Input>, Refusal> {
    let items = match value {
        Value::String(text) => return Ok(vec![Input::Text(text.clone())]),
        Value::Array(items) => items,
        _ => return Err(wrong(name, WANTED, value)),
    };
    match items.first() {
        None => return Err(Refusal::invalid(name, format!("`{name}` is empty"))),
        Some(Value::Number(_)) => return Ok(vec![Input::Tokens(tokens(name, items)?)]),
        Some(_) => {}
    }
    if items.len() > MOST {
        let message = format!(
            "`{name}` has {} texts, and {MOST} are read at most",
            items.len()
        );
        return Err(Refusal::invalid(name, message));
    }
    items
        .iter()
        .enumerate()
        .map(|(at, item)| match item {
            Value::String(text) => Ok(Input::Text(text.clone())),
            Value::Array(ids) => Ok(Input::Tokens(tokens(&format!("{name}[{at}]"), ids)?)),
            other => Err(wrong(
                &format!("{name}[{at}]"),
                "a string or token ids",
                other,
            )),
        })
        .collect()
}

fn tokens(name: &str, ids: &[Value]) -> Result<Vec<u32>, Refusal> {
    if ids.is_empty() {
        return Err(Refusal::invalid(name, format!("`{name}` is empty")));
    }
    ids.iter()
        .map(|id| {
            id.as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| wrong(name, "token ids", id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_and_tokens_come_in_four_forms() {
        let text = |text: &str| Input::Text(text.to_owned());
        let forms = [
            (json!("a"), vec![text("a")]),
            (json!(["a", "b"]), vec![text("a"), text("b")]),
            (json!([1, 2]), vec![Input::Tokens(vec![1, 2])]),
            (
                json!([[1], [2, 3]]),
                vec![Input::Tokens(vec![1]), Input::Tokens(vec![2, 3])],
            ),
        ];
        for (value, wanted) in forms {
            assert_eq!(read("input", &value).unwrap(), wanted, "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let message = |value: Value| read("input", &value).unwrap_err().message;
        assert_eq!(message(json!([])), "`input` is empty");
        assert_eq!(message(json!([[]])), "`input[0]` is empty");
        assert_eq!(message(json!([1, -2])), "`input` must be token ids, not -2");
        assert_eq!(
            message(json!(["a", 1])),
            "`input[1]` must be a string or token ids, not 1"
        );
        assert!(message(json!({ "text": "a" })).starts_with("`input` must be a string"));
        assert!(message(json!(vec!["a"; 2049])).starts_with("`input` has 2049 texts"));
    }
}
