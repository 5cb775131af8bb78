//! What an answer says beside its body: warnings, and how long to wait before the same is asked again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, RETRY_AFTER, WARNING};
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::Config;
use tower::util::MapResponseLayer;

/// Warnings of one answer that are kept.
const MOST: usize = 50;

/// What was said beside the body of an answer.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Such as that a field is unknown, a version deprecated, a pod not as restricted as it should be.
    pub(crate) warnings: Vec<String>,
    /// How long a server that is too busy wants to be left alone.
    pub(crate) wait: Option<Duration>,
}

tokio::task_local! {
    /// The library hands out bodies only; here the rest is left for who waits for the answer.
    static HEARD: Mutex<Heard>;
}

/// A client whose answers can be [listened to](listening).
pub(crate) fn client(config: Config) -> kube::Result<Client> {
    let note = MapResponseLayer::new(|response: http::Response<_>| {
        // Nobody listens to what was not asked with `listening`, such as a new token.
        let _ = HEARD.try_with(|heard| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.take(response.headers());
        });
        response
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&note).build())
}

/// What `request` gives, and what was said beside it.
pub(crate) async fn listening<T>(request: impl Future<Output = T>) -> (T, Heard) {
    let mut scope = Box::pin(HEARD.scope(Mutex::default(), request));
    let given = scope.as_mut().await;
    let heard = scope.as_mut().take_value().unwrap_or_default();
    let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    (given, heard)
}

impl Heard {
    fn take(&mut self, headers: &HeaderMap) {
        let text = |name: HeaderName| {
            headers
                .get_all(name)
                .into_iter()
                .filter_map(|it| it.to_str().ok())
        };
        for warning in text(WARNING).filter_map(warning) {
            if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        let seconds = text(RETRY_AFTER).find_map(|it| it.parse().ok());
        self.wait = seconds.map(Duration::from_secs);
    }
}

/// The text of a header `299 - "text"` (RFC 7234, 5.5).
fn warning(header: &str) -> Option<String> {
    let (_, quoted) = header.split_once('"')?;
    let mut text = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_as_the_server_writes_them() {
        let cases = [
            (
                r#"299 - "unknown field \"spec.a\"""#,
                Some(r#"unknown field "spec.a""#),
            ),
            (
                r#"299 - "a \\ b" "Sat, 25 Aug 2012 23:34:45 GMT""#,
                Some(r"a \ b"),
            ),
            (r#"299 - "not ended"#, None),
            ("299 - none", None),
        ];
        for (header, text) in cases {
            assert_eq!(warning(header).as_deref(), text, "{header}");
        }
    }

    #[test]
    fn what_is_said_twice_is_kept_once() {
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(WARNING, r#"299 - "old""#.parse().unwrap());
        }
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let mut heard = Heard::default();
        heard.take(&headers);
        assert_eq!(
            (heard.warnings.len(), heard.wait),
            (1, Some(Duration::from_secs(7)))
        );
    }
}
