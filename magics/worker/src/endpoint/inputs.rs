//! Inputs of a request: a string, several, token ids, several lists of those, and pictures.

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::fields::wrong;
use crate::refusal::Refusal;

/// Most inputs of one request, as OpenAI has it.
const MOST: usize = 2048;
/// What an input can be.
const WANTED: &str = "a string, token ids, or an array of one of these";
/// How a picture is sent.
const PICTURE: &str = "a picture is sent as `{\"image\": \"data:image/png;base64,…\"}`";

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// A text in letters.
    Text(String),
    /// A text in the model's tokens.
    Tokens(Vec<u32>),
    /// A picture, as the bytes of its file.
    Picture(Vec<u8>),
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
            "`{name}` has {} inputs, and {MOST} are read at most",
            items.len()
        );
        return Err(Refusal::invalid(name, message));
    }
    let item = |(at, item): (usize, &Value)| {
        let name = format!("{name}[{at}]");
        match item {
            Value::String(text) => Ok(Input::Text(text.clone())),
            Value::Array(ids) => Ok(Input::Tokens(tokens(&name, ids)?)),
            Value::Object(parts) => object(&name, parts),
            other => Err(wrong(&name, "a string or token ids", other)),
        }
    };
    items.iter().enumerate().map(item).collect()
}

/// `{"text": …}` or `{"image": …}`, as Jina's API has it.
fn object(name: &str, parts: &Map<String, Value>) -> Result<Input, Refusal> {
    let mut parts = parts.iter();
    match (parts.next(), parts.next()) {
        (Some((part, Value::String(value))), None) if part == "text" => {
            Ok(Input::Text(value.clone()))
        }
        (Some((part, Value::String(value))), None) if part == "image" => {
            picture(&format!("{name}.image"), value).map(Input::Picture)
        }
        _ => {
            let message = format!("`{name}` must have one field, `text` or `image`: {PICTURE}");
            Err(Refusal::invalid(name, message))
        }
    }
}

/// The bytes of a picture: base64 (RFC 4648), or a `data:` URI (RFC 2397) of it.
fn picture(name: &str, value: &str) -> Result<Vec<u8>, Refusal> {
    let data = match value.strip_prefix("data:") {
        Some(rest) => {
            let (kind, data) = rest.split_once(',').unwrap_or((rest, ""));
            if !(kind.starts_with("image/") && kind.ends_with(";base64")) {
                let message = format!("`{name}` is no picture in base64: {PICTURE}");
                return Err(Refusal::invalid(name, message));
            }
            data
        }
        None if value.contains("://") => {
            let message = format!("`{name}` is an address, and nothing is fetched: {PICTURE}");
            return Err(Refusal::unsupported(name, message));
        }
        None => value,
    };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(data)
        .map_err(|error| Refusal::invalid(name, format!("`{name}` is no base64: {error}")))?;
    if bytes.is_empty() {
        return Err(Refusal::invalid(name, format!("`{name}` is empty")));
    }
    Ok(bytes)
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
    fn a_picture_is_the_bytes_of_its_file() {
        let both = json!([
            { "text": "a" }, { "image": "data:image/png;base64,AAEC" }, { "image": "AAEC" }, "b"
        ]);
        let picture = || Input::Picture(vec![0, 1, 2]);
        let [a, b] = ["a", "b"].map(|text| Input::Text(text.to_owned()));
        assert_eq!(read("input", &both).unwrap(), [a, picture(), picture(), b]);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        for (value, param, message) in [
            (json!({}), "input[1]", "one field, `text` or `image`"),
            (
                json!({ "text": "a", "image": "AAEC" }),
                "input[1]",
                "one field",
            ),
            (json!({ "image": { "url": "a" } }), "input[1]", "one field"),
            (json!({ "video": "AAEC" }), "input[1]", "one field"),
            (json!({ "image": "" }), "input[1].image", "is empty"),
            (
                json!({ "image": "data:image/png;base64," }),
                "input[1].image",
                "is empty",
            ),
            (
                json!({ "image": "data:image/png;base64,!" }),
                "input[1].image",
                "no base64",
            ),
            (
                json!({ "image": "data:image/png,AAEC" }),
                "input[1].image",
                "no picture in base64",
            ),
            (
                json!({ "image": "data:text/plain;base64,AAEC" }),
                "input[1].image",
                "no picture",
            ),
            (json!({ "image": "data:" }), "input[1].image", "no picture"),
            (
                json!({ "image": "https://a.example/b.png" }),
                "input[1].image",
                "nothing is fetched",
            ),
            (
                json!({ "image": "file:///etc/passwd" }),
                "input[1].image",
                "nothing is fetched",
            ),
        ] {
            let refusal = read("input", &json!(["a", value])).unwrap_err();
            assert_eq!(refusal.body()["error"]["param"], param, "{value}");
            assert!(refusal.message.contains(message), "{}", refusal.message);
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
        assert!(message(json!(vec!["a"; 2049])).starts_with("`input` has 2049 inputs"));
    }
}
