//! What the process that runs cells lets be heard: text of two streams, and events in their place among it.
//!
//! A stream is bytes. The prelude writes a mark with a secret token into both streams before each event, so that the
//! event can be put where it belongs; nothing else in a stream means anything.

use std::collections::VecDeque;
use std::io::Read;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use serde_json::Value;

/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// How long an event waits for a mark in a stream that the cell may have closed.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where something was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Stdout,
    Stderr,
    Events,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    Text(String),
    /// Everything before event `n` has come.
    Mark(u64),
    Event(Value),
    Closed,
}

/// Reads `stream` on a thread of its own.
pub(super) fn listen(
    source: Source,
    mut stream: impl Read + Send + 'static,
    token: &str,
    pieces: Sender<(Source, Heard)>,
) {
    let mut text = Text::new(token);
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            for heard in text.take(&buffer[..length]) {
                if pieces.send((source, heard)).is_err() {
                    return;
                }
            }
        }
        // Whoever listens may have gone first.
        let _ = pieces.send((source, Heard::Closed));
    });
}

/// Bytes of a stream that are not yet text.
struct Text {
    /// What a mark begins with.
    begin: Vec<u8>,
    rest: Vec<u8>,
}

/// Ends a mark.
const END: u8 = 7;
/// Digits of a mark's number at most.
const DIGITS: usize = 20;

impl Text {
    fn new(token: &str) -> Text {
        Text {
            begin: format!("\u{1b}]mlk8s;{token};").into_bytes(),
            rest: Vec::new(),
        }
    }

    /// Adds `bytes` and yields what is whole.
    fn take(&mut self, bytes: &[u8]) -> Vec<Heard> {
        self.rest.extend_from_slice(bytes);
        let mut heard = Vec::new();
        while let Some(at) = find(&self.rest, &self.begin) {
            let number = &self.rest[at + self.begin.len()..];
            let Some(length) = number.iter().position(|&byte| byte == END) else {
                if number.len() <= DIGITS {
                    self.yield_text(at, &mut heard);
                    return heard;
                }
                break;
            };
            let number = str::from_utf8(&number[..length])
                .ok()
                .and_then(|n| n.parse().ok());
            self.yield_all(at, &mut heard);
            self.rest.drain(..=self.begin.len() + length);
            heard.push(Heard::Mark(number.unwrap_or(0)));
        }
        // The last bytes may be the beginning of a mark.
        let held = (1..self.begin.len().min(self.rest.len() + 1))
            .rev()
            .find(|&length| self.rest.ends_with(&self.begin[..length]))
            .unwrap_or(0);
        self.yield_text(self.rest.len() - held, &mut heard);
        heard
    }

    /// Yields the first `length` bytes but for a character that is not whole yet.
    fn yield_text(&mut self, length: usize, heard: &mut Vec<Heard>) {
        let unfinished = match str::from_utf8(&self.rest[..length]) {
            Err(error) if error.error_len().is_none() && length == self.rest.len() => {
                length - error.valid_up_to()
            }
            Err(_) => unfinished(&self.rest[..length]),
            Ok(_) => 0,
        };
        let unfinished = if length == self.rest.len() {
            unfinished
        } else {
            0
        };
        self.yield_all(length - unfinished, heard);
    }

    fn yield_all(&mut self, length: usize, heard: &mut Vec<Heard>) {
        if length > 0 {
            let text = String::from_utf8_lossy(&self.rest[..length]).into_owned();
            heard.push(Heard::Text(text));
            self.rest.drain(..length);
        }
    }
}

/// How many bytes at the end begin a character that is not whole.
fn unfinished(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|&n| {
            let tail = &bytes[bytes.len() - n..];
            tail[0] >= 0xc0 && str::from_utf8(tail).is_err_and(|error| error.error_len().is_none())
        })
        .unwrap_or(0)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == wanted[0]) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Puts text and events in order.
#[derive(Default)]
pub(super) struct Order {
    stdout: VecDeque<Heard>,
    stderr: VecDeque<Heard>,
    events: VecDeque<(Value, Instant)>,
    /// Number of the latest event that was taken; its mark and those before it hold nothing back any more.
    taken: u64,
    pub(super) closed: bool,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Text(Source, String),
    Event(Value),
}

impl Order {
    /// Adds what was heard.
    pub(super) fn add(&mut self, source: Source, heard: Heard) {
        match (source, heard) {
            (Source::Events, Heard::Closed) => self.closed = true,
            (_, Heard::Closed) => {}
            (_, Heard::Event(event)) => self.events.push_back((event, Instant::now())),
            (Source::Stderr, heard) => self.stderr.push_back(heard),
            (_, heard) => self.stdout.push_back(heard),
        }
    }

    /// Says that `event` was taken out of its turn.
    pub(super) fn pass(&mut self, event: &Value) {
        self.taken = event["mark"].as_u64().unwrap_or(0).max(self.taken);
    }

    /// Takes what can be shown now.
    pub(super) fn next(&mut self) -> Option<Next> {
        if let Some(text) = text_of(&mut self.stdout, self.taken) {
            return Some(Next::Text(Source::Stdout, text));
        }
        if let Some(text) = text_of(&mut self.stderr, self.taken) {
            return Some(Next::Text(Source::Stderr, text));
        }
        let (event, since) = self.events.front()?;
        let number = event["mark"].as_u64();
        let ready = number.is_none_or(|number| {
            let there = |stream: &VecDeque<Heard>| matches!(stream.front(), Some(Heard::Mark(n)) if *n >= number);
            there(&self.stdout) && there(&self.stderr)
        });
        if !ready && since.elapsed() < PATIENCE && !self.closed {
            return None;
        }
        let (event, _) = self.events.pop_front()?;
        self.pass(&event);
        Some(Next::Event(event))
    }
}

/// The text at the front of `stream`, past the marks up to `taken`.
fn text_of(stream: &mut VecDeque<Heard>, taken: u64) -> Option<String> {
    while matches!(stream.front(), Some(Heard::Mark(n)) if *n <= taken) {
        stream.pop_front();
    }
    match stream.pop_front()? {
        Heard::Text(text) => Some(text),
        other => {
            stream.push_front(other);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(text: &mut Text, pieces: &[&[u8]]) -> Vec<Heard> {
        pieces.iter().flat_map(|piece| text.take(piece)).collect()
    }

    #[test]
    fn marks_are_found_wherever_the_pieces_end() {
        let stream = b"a\xc3\xa4\x1b]mlk8s;T;12\x07b".to_vec();
        for cut in 0..stream.len() {
            let mut text = Text::new("T");
            let heard = all(&mut text, &[&stream[..cut], &stream[cut..]]);
            let mut joined = String::new();
            let mut marks = Vec::new();
            for one in heard {
                match one {
                    Heard::Text(text) => joined.push_str(&text),
                    Heard::Mark(n) => marks.push((n, joined.clone())),
                    _ => {}
                }
            }
            assert_eq!(joined, "aäb", "{cut}");
            assert_eq!(marks, [(12, "aä".to_owned())], "{cut}");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_as_such() {
        let mut text = Text::new("T");
        let heard = all(&mut text, &[b"a\xff\xfeb", b"\x1b]mlk8s;other;1\x07"]);
        assert_eq!(heard[0], Heard::Text("a\u{fffd}\u{fffd}b".to_owned()));
        assert_eq!(
            heard[1],
            Heard::Text("\u{1b}]mlk8s;other;1\u{7}".to_owned())
        );
    }

    #[test]
    fn an_event_waits_for_the_text_before_it() {
        let mut order = Order::default();
        order.add(
            Source::Events,
            Heard::Event(json!({ "event": "x", "mark": 1 })),
        );
        assert_eq!(order.next(), None);
        order.add(Source::Stdout, Heard::Text("a".to_owned()));
        order.add(Source::Stdout, Heard::Mark(1));
        order.add(Source::Stdout, Heard::Text("b".to_owned()));
        assert_eq!(
            order.next(),
            Some(Next::Text(Source::Stdout, "a".to_owned()))
        );
        assert_eq!(order.next(), None);
        order.add(Source::Stderr, Heard::Mark(1));
        assert!(matches!(order.next(), Some(Next::Event(_))));
        assert_eq!(
            order.next(),
            Some(Next::Text(Source::Stdout, "b".to_owned()))
        );
    }

    #[test]
    fn a_late_mark_holds_nothing_back() {
        let mut order = Order::default();
        order.pass(&json!({ "event": "loaded", "mark": 1 }));
        order.add(Source::Stdout, Heard::Mark(1));
        order.add(Source::Stdout, Heard::Text("a".to_owned()));
        assert_eq!(
            order.next(),
            Some(Next::Text(Source::Stdout, "a".to_owned()))
        );
    }
}
