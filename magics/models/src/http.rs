//! Asking servers with patience: what passes is tried again, and the user can stop at any time.

pub(crate) mod tries;

use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use reqwest::{Client, Response, StatusCode, Url, header, redirect};

use crate::error::ModelsError;
use crate::places::{Patience, Places};
use tries::Tries;

/// How often the user is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);
/// How long finding and greeting a server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The same for the first connection of a download that a person waits for.
const FIRST: Duration = Duration::from_secs(2);
/// The longest refusal that is read.
const LONGEST_REFUSAL: usize = 64 << 10;
/// Characters of a refusal that are shown.
const SHOWN: usize = 300;

/// The way to servers.
pub(crate) struct Web<'a> {
    client: Client,
    /// The one for the first connection.
    first: Client,
    /// A server has answered.
    is_reached: Cell<bool>,
    pub(crate) patience: Patience,
    cancelled: &'a dyn Fn() -> bool,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Asking again may help, after the time that the server asked for.
    Passing {
        why: String,
        wait: Option<Duration>,
        /// There was no connection.
        is_unreached: bool,
    },
    /// Asking again does not help.
    Final(ModelsError),
}

impl From<ModelsError> for Failure {
    fn from(error: ModelsError) -> Self {
        Self::Final(error)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // Those above only say that something failed.
        let mut inner: &dyn std::error::Error = &error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        Self::Passing {
            why: inner.to_string(),
            wait: None,
            is_unreached: error.is_connect(),
        }
    }
}

impl Failure {
    pub(crate) fn passing(why: impl Into<String>) -> Self {
        Self::Passing {
            why: why.into(),
            wait: None,
            is_unreached: false,
        }
    }
}

impl<'a> Web<'a> {
    pub(crate) fn new(
        places: &Places,
        cancelled: &'a dyn Fn() -> bool,
    ) -> Result<Self, ModelsError> {
        // Another part of the program may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |connect| {
            Client::builder()
                .user_agent(concat!("mlk8s/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(connect)
                // Where a redirect leads decides what is sent along.
                .redirect(redirect::Policy::none())
                .build()
                .map_err(|error| ModelsError::Setting {
                    variable: "HTTPS_PROXY",
                    why: error.to_string(),
                })
        };
        Ok(Self {
            client: client(CONNECT)?,
            first: client(if places.patience.is_watched {
                FIRST
            } else {
                CONNECT
            })?,
            is_reached: Cell::new(false),
            patience: places.patience,
            cancelled,
        })
    }

    /// What sends requests: with little patience for a connection until the first one is made, where a person waits.
    pub(crate) fn client(&self) -> &Client {
        if self.is_reached.get() {
            &self.client
        } else {
            &self.first
        }
    }

    /// Waits for `work`, or for the user to stop it.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, ModelsError> {
        let mut work = pin!(work);
        let mut ticks = tokio::time::interval(TICK);
        loop {
            if (self.cancelled)() {
                return Err(ModelsError::Cancelled);
            }
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                _ = ticks.tick() => {}
            }
        }
    }

    /// Waits for `work` as long as a server may be silent.
    pub(crate) async fn heard<T>(
        &self,
        work: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, Failure> {
        let timed = tokio::time::timeout(self.patience.silence, work);
        match self.unless_cancelled(timed).await? {
            Ok(answer) => {
                let answer = answer?;
                self.is_reached.set(true);
                Ok(answer)
            }
            Err(_) => Err(Failure::passing(format!(
                "nothing came for {} seconds",
                self.patience.silence.as_secs_f32()
            ))),
        }
    }

    /// Lets time pass.
    pub(crate) async fn pause(&self, time: Duration) -> Result<(), ModelsError> {
        let never = std::future::pending::<()>();
        self.unless_cancelled(tokio::time::timeout(time, never))
            .await
            .map(|_| ())
    }

    /// Makes `attempt` until it succeeds or patience ends.
    pub(crate) async fn persist<T>(
        &self,
        mut tries: Tries,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, ModelsError> {
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => self.pause(tries.again(failure)?).await?,
            }
        }
    }

    /// What a server says, up to a length that no honest answer has.
    pub(crate) async fn body(
        &self,
        mut response: Response,
        longest: usize,
    ) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        while let Some(chunk) = self.heard(response.chunk()).await? {
            if out.len() + chunk.len() > longest {
                return Err(Failure::passing(format!(
                    "the answer has more than {longest} bytes"
                )));
            }
            out.extend_from_slice(&chunk);
        }
        Ok(out)
    }

    /// What a refusal says, in a few words.
    pub(crate) async fn refusal(&self, response: Response) -> String {
        let status = response.status();
        let message = text_header(&response, "x-error-message");
        let bytes = self
            .body(response, LONGEST_REFUSAL)
            .await
            .unwrap_or_default();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let said = message.or_else(|| json["error"].as_str().map(str::to_owned));
        let said = said.unwrap_or_else(|| tag(&String::from_utf8_lossy(&bytes), "Message"));
        if said.trim().is_empty() {
            return status.canonical_reason().unwrap_or("nothing").to_owned();
        }
        said.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(SHOWN)
            .collect()
    }
}

/// The failure that a status means if it is one that passes.
pub(crate) fn passing(response: &Response) -> Option<Failure> {
    let status = response.status();
    let passes = matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error();
    passes.then(|| Failure::Passing {
        why: reason(status),
        wait: text_header(response, header::RETRY_AFTER.as_str())
            .and_then(|text| retry_after(&text)),
        is_unreached: false,
    })
}

/// Scheme, host and port, as a server is named to people.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub(crate) fn text_header(response: &Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// An etag without quotes and the mark of weak ones.
pub(crate) fn plain_etag(text: &str) -> String {
    text.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// The text between the first `<name>` and `</name>`, as Amazon's errors have it.
pub(crate) fn tag(text: &str, name: &str) -> String {
    let inside = text
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    inside.map_or(String::new(), |(inside, _)| inside.to_owned())
}

fn reason(status: StatusCode) -> String {
    format!(
        "status {} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    )
    .trim_end()
    .to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_how_long_to_wait() {
        assert_eq!(retry_after("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn etags_lose_their_marks() {
        assert_eq!(plain_etag("W/\"abc\""), "abc");
        assert_eq!(plain_etag("\"abc\""), "abc");
    }
}
