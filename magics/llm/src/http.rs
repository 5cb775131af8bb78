//! One attempt: a request goes out, an answer or a failure comes back.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use eventsource_stream::Eventsource as _;
use futures_util::StreamExt as _;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;

use crate::call::Usage;
use crate::endpoint::Secret;
use crate::failure::{Cause, Failure, innermost};

/// Bytes of an answer that is no answer that are shown.
const SHOWN: usize = 300;
/// How long finding and greeting the server may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) finish_reason: String,
    pub(crate) usage: Option<Usage>,
    pub(crate) truncated: u64,
    pub(crate) first: Duration,
    pub(crate) total: Duration,
}

/// The client that all attempts share, for its connections.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    // Another part of the program may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("mlk8s/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .build()
}

/// Sends `body` to `url`; `on_text` is given the text as it comes.
pub(crate) async fn post(
    client: &Client,
    url: &str,
    key: Option<&Secret>,
    body: &Value,
    timeout: Duration,
    on_text: &(dyn Fn(&str) + Sync),
) -> Result<Reply, Failure> {
    let begun = Instant::now();
    let mut request = client.post(url).json(body).timeout(timeout);
    if let Some(key) = key {
        request = request.bearer_auth(key.expose());
    }
    let response = accepted(request.send().await?).await?;
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    let mut reply = if is_stream {
        streamed(response, begun, on_text).await?
    } else {
        let bytes = response.bytes().await?;
        let reply = whole(&bytes, begun.elapsed())?;
        on_text(&reply.text);
        reply
    };
    reply.total = begun.elapsed();
    Ok(reply)
}

/// Fetches `url` as JSON.
pub(crate) async fn get(
    client: &Client,
    url: &str,
    key: Option<&Secret>,
    timeout: Duration,
) -> Result<Value, Failure> {
    let mut request = client.get(url).timeout(timeout);
    if let Some(key) = key {
        request = request.bearer_auth(key.expose());
    }
    let bytes = accepted(request.send().await?).await?.bytes().await?;
    serde_json::from_slice(&bytes).map_err(|_| Failure::new(Cause::Garbled, shown(&bytes)))
}

/// The response, unless it is a refusal.
async fn accepted(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let wait = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(retry_after);
    let bytes = response.bytes().await.unwrap_or_default();
    Err(Failure {
        wait,
        ..Failure::new(Cause::Status(status.as_u16()), refusal(status, &bytes))
    })
}

/// What a refusal says, in the forms that servers use.
fn refusal(status: StatusCode, bytes: &[u8]) -> String {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let said = [
        &body["error"]["message"],
        &body["error"],
        &body["message"],
        &body["detail"],
    ]
    .into_iter()
    .find_map(|value| value.as_str().map(str::to_owned));
    let said = said.unwrap_or_else(|| shown(bytes));
    if said.is_empty() {
        status.canonical_reason().unwrap_or("nothing").to_owned()
    } else {
        said
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    SystemTime::from(until)
        .duration_since(SystemTime::now())
        .ok()
}

/// The beginning of what came, without tags.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(8 * SHOWN)]);
    let mut out = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => out.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = out.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}

/// An answer that came in one piece.
fn whole(bytes: &[u8], first: Duration) -> Result<Reply, Failure> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|_| Failure::new(Cause::Garbled, shown(bytes)))?;
    if let Some(vectors) = body["data"].as_array() {
        let text = packed(vectors).ok_or_else(|| Failure::new(Cause::Garbled, shown(bytes)))?;
        return Ok(Reply {
            text,
            finish_reason: "stop".to_owned(),
            usage: usage(&body["usage"]),
            truncated: body["truncated"].as_u64().unwrap_or(0),
            first,
            total: first,
        });
    }
    let choice = &body["choices"][0];
    let text = choice["message"]["content"]
        .as_str()
        .or(choice["text"].as_str());
    if choice.is_null() || (text.is_none() && choice["finish_reason"].is_null()) {
        return Err(Failure::new(Cause::Garbled, shown(bytes)));
    }
    Ok(Reply {
        text: text.unwrap_or_default().to_owned(),
        finish_reason: choice["finish_reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        usage: usage(&body["usage"]),
        first,
        ..Reply::default()
    })
}

/// Vectors in the order of their texts, as one line each of hexadecimal little-endian `f32`: text, as answers are.
fn packed(vectors: &[Value]) -> Option<String> {
    let mut rows: Vec<(u64, String)> = Vec::new();
    for (at, vector) in vectors.iter().enumerate() {
        let bytes = match &vector["embedding"] {
            Value::String(text) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()?,
            Value::Array(numbers) => numbers
                .iter()
                .flat_map(|x| (x.as_f64().unwrap_or(f64::NAN) as f32).to_le_bytes())
                .collect(),
            _ => return None,
        };
        rows.push((
            vector["index"].as_u64().unwrap_or(at as u64),
            hex::encode(bytes),
        ));
    }
    rows.sort_by_key(|(index, _)| *index);
    let lines: Vec<String> = rows.into_iter().map(|(_, line)| line).collect();
    Some(lines.join("\n"))
}

/// An answer that comes piece by piece (server-sent events).
async fn streamed(
    response: Response,
    begun: Instant,
    on_text: &(dyn Fn(&str) + Sync),
) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut is_whole = false;
    let mut events = response.bytes_stream().eventsource();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return Err(broken(reply, innermost(&error))),
        };
        if event.data.trim() == "[DONE]" {
            is_whole = true;
            break;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(&event.data) else {
            return Err(Failure {
                text: reply.text,
                ..Failure::new(Cause::Garbled, shown(event.data.as_bytes()))
            });
        };
        if let Some(said) = chunk["error"]["message"].as_str() {
            return Err(broken(reply, said.to_owned()));
        }
        reply.usage = usage(&chunk["usage"]).or(reply.usage);
        let choice = &chunk["choices"][0];
        let piece = choice["delta"]["content"]
            .as_str()
            .or(choice["text"].as_str());
        if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
            if reply.text.is_empty() {
                reply.first = begun.elapsed();
            }
            reply.text.push_str(piece);
            on_text(piece);
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            reason.clone_into(&mut reply.finish_reason);
        }
    }
    if !is_whole && reply.finish_reason.is_empty() {
        return Err(broken(
            reply,
            "the stream ended before the answer did".to_owned(),
        ));
    }
    Ok(reply)
}

fn broken(reply: Reply, message: String) -> Failure {
    Failure {
        text: reply.text,
        ..Failure::new(Cause::Connection, message)
    }
}

fn usage(value: &Value) -> Option<Usage> {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    value.is_object().then(|| Usage {
        prompt: count(&value["prompt_tokens"]),
        cached: count(&value["prompt_tokens_details"]["cached_tokens"]),
        completion: count(&value["completion_tokens"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_every_form() {
        let said = |body: &str| refusal(StatusCode::BAD_GATEWAY, body.as_bytes());
        assert_eq!(said(r#"{"error":{"message":"no"}}"#), "no");
        assert_eq!(said(r#"{"error":"no"}"#), "no");
        assert_eq!(said(r#"{"detail":"no"}"#), "no");
        assert_eq!(said("<html><h1>502</h1>\n<p>bad</p></html>"), "502 bad");
        assert_eq!(said(""), "Bad Gateway");
    }

    #[test]
    fn servers_say_how_long_to_wait() {
        assert_eq!(retry_after("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(100);
        let wait = retry_after(&soon.to_rfc2822()).unwrap();
        assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn vectors_are_read_in_both_forms() {
        let reply = |body: &str| whole(body.as_bytes(), Duration::ZERO).map(|reply| reply.text);
        let numbers =
            reply(r#"{"data":[{"index":1,"embedding":[2.0]},{"index":0,"embedding":[1.0]}]}"#);
        let packed = reply(
            r#"{"data":[{"index":1,"embedding":"AAAAQA=="},{"index":0,"embedding":"AACAPw=="}]}"#,
        );
        assert_eq!(numbers, packed);
        assert_eq!(numbers.unwrap(), "0000803f\n00000040");
        assert!(reply(r#"{"data":[{"index":0}]}"#).is_err());
        let cut = whole(br#"{"data":[],"truncated":2}"#, Duration::ZERO).unwrap();
        assert_eq!(cut.truncated, 2);
    }

    #[test]
    fn an_answer_without_a_choice_is_none() {
        let reply = |body: &str| whole(body.as_bytes(), Duration::ZERO);
        let good = reply(
            r#"{"choices":[{"message":{"content":"a"},"finish_reason":"length"}],"usage":{"prompt_tokens":3}}"#,
        );
        let good = good.unwrap();
        assert_eq!(
            (good.text.as_str(), good.finish_reason.as_str()),
            ("a", "length")
        );
        assert_eq!(good.usage.unwrap().prompt, 3);
        assert_eq!(reply(r#"{"choices":[{"text":"b"}]}"#).unwrap().text, "b");
        for bad in ["{}", "", r#"{"choices":[]}"#, "<p>oh</p>"] {
            assert_eq!(reply(bad).unwrap_err().cause, Cause::Garbled, "{bad}");
        }
    }
}
