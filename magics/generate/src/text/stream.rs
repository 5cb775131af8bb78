//! An answer's text as it comes: whole characters only, and nothing that a stop string may still take back.

/// Bytes in, certain text out.
///
/// Bytes stay inside while they are the beginning of a character or of a stop string. Pieces put together are the answer's
/// text, cut before the first stop string.
#[derive(Debug)]
pub(crate) struct Stream {
    stop: Vec<String>,
    /// The beginning of a character.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    strips_space: bool,
    stopped: bool,
}

impl Stream {
    /// `stop` strings must not be empty; `strips_space` leaves out one space at the very beginning.
    pub(crate) fn new(stop: Vec<String>, strips_space: bool) -> Self {
        Self {
            stop,
            bytes: Vec::new(),
            held: String::new(),
            strips_space,
            stopped: false,
        }
    }

    /// Whether a stop string has come.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a token's bytes; gives the text that is certain now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped || bytes.is_empty() {
            return String::new();
        }
        let skip = usize::from(self.strips_space && bytes[0] == b' ');
        self.strips_space = false;
        self.bytes.extend_from_slice(&bytes[skip..]);
        self.take_characters(false);
        self.take_certain()
    }

    /// The rest, when nothing follows.
    pub(crate) fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        self.take_characters(true);
        let certain = self.take_certain();
        certain + &std::mem::take(&mut self.held)
    }

    /// Moves whole characters from `bytes` to `held`; bytes that can't be part of any become U+FFFD, and at the `end`
    /// those of a cut-off one too.
    fn take_characters(&mut self, end: bool) {
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.held.push_str(text);
                    rest = &[];
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    self.held.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    match error.error_len() {
                        Some(len) => rest = &rest[len..],
                        None if end => rest = &[],
                        None => break,
                    }
                    self.held.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        self.bytes = rest.to_vec();
    }

    /// Takes from `held` what can't belong to a stop string; drops everything from a complete one on.
    fn take_certain(&mut self) -> String {
        let first = self
            .stop
            .iter()
            .filter(|stop| stop.len() <= self.held.len())
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        if let Some(place) = first {
            self.stopped = true;
            self.held.truncate(place);
            return std::mem::take(&mut self.held);
        }
        let kept = self
            .stop
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let tail = self.held.split_off(self.held.len() - kept);
        std::mem::replace(&mut self.held, tail)
    }
}

/// Length of the longest end of `text` that `stop` begins with.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&len| text.as_bytes().ends_with(&stop.as_bytes()[..len]))
        .unwrap_or(0)
}
