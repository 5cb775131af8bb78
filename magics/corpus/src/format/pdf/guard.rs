//! Looks at the streams of a PDF before anything unpacks them, so that a decompression bomb is found in bounded memory.

use std::cell::Cell;
use std::ops::Range;

use hayro_syntax::Filter;
use hayro_syntax::object::Stream;
use memchr::memmem::{find, find_iter};

use super::unpack::{ascii85, hex, inflated_len, lzw_len, run_len};
use crate::document::Reason;

/// Most bytes of a stream dictionary that are looked at.
const DICTIONARY: usize = 4096;
/// Deflate packs at most this well: <https://zlib.net/zlib_tech.html>.
const DEFLATE_RATIO: u64 = 1032;
/// Steps that a file may cost: a page of a paper takes about ten thousand.
const STEPS: u64 = 100_000_000;

/// What a file may still unpack and draw.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    unpacked: Cell<u64>,
    steps: Cell<u64>,
    spent: Cell<bool>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            unpacked: Cell::new(0),
            steps: Cell::new(0),
            spent: Cell::new(false),
        }
    }

    /// Looks at the streams of a file that are unpacked as soon as it is opened: its tables of objects.
    ///
    /// In an encrypted file their packed size must do: it bounds what they can unpack to.
    pub(super) fn admit_file(&self, bytes: &[u8]) -> Result<(), Reason> {
        let encrypted = find(bytes, b"/Encrypt").is_some();
        let mut end = 0;
        for found in find_iter(bytes, b"stream") {
            if found < end || bytes[..found].ends_with(b"end") {
                continue;
            }
            let dictionary = dictionary(bytes, found);
            let stream = stream(bytes, found + b"stream".len());
            end = stream.end;
            if is_image(dictionary) {
                continue;
            }
            let data = &bytes[stream];
            let len = if !encrypted {
                self.len_by_name(dictionary, data)?
            } else if find(dictionary, b"ObjStm").is_some() || find(dictionary, b"#").is_some() {
                data.len() as u64 * DEFLATE_RATIO / 4
            } else {
                0
            };
            self.take(len)?;
        }
        // What follows is counted again, stream by stream, as it is drawn.
        self.unpacked.set(0);
        Ok(())
    }

    /// True when a stream may be unpacked; once one may not, none may.
    pub(super) fn admit(&self, stream: &Stream<'_>) -> bool {
        let filters = stream.filters();
        let mut data = stream.raw_data();
        let mut len = data.len() as u64;
        let mut packed = false;
        for filter in &filters {
            let again = packed;
            match filter {
                Filter::Ascii85Decode => data = ascii85(&data).into(),
                Filter::AsciiHexDecode => data = hex(&data).into(),
                Filter::FlateDecode => (len, packed) = (inflated_len(&data, self.left()), true),
                Filter::LzwDecode => (len, packed) = (lzw_len(&data, self.left()), true),
                Filter::RunLengthDecode => (len, packed) = (run_len(&data), true),
                _ => return true,
            }
            if again {
                self.spent.set(true);
                return false;
            }
        }
        self.step(len / 8);
        self.take(len).is_ok() && !self.spent.get()
    }

    /// Counts work; false once there was too much.
    pub(super) fn step(&self, steps: u64) -> bool {
        self.steps.set(self.steps.get() + steps);
        self.steps.get() <= STEPS
    }

    /// Why the file must be given up, if it must.
    pub(super) fn verdict(&self) -> Result<(), Reason> {
        if self.unpacked.get() > self.limit {
            return Err(Reason::TooLarge {
                bytes: self.unpacked.get(),
                limit: self.limit,
            });
        }
        if self.spent.get() {
            return Err(packed_twice());
        }
        if self.steps.get() > STEPS {
            return Err(Reason::TooMuchWork { limit: STEPS });
        }
        Ok(())
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.unpacked.get())
    }

    fn take(&self, len: u64) -> Result<(), Reason> {
        self.unpacked.set(self.unpacked.get().saturating_add(len));
        self.verdict()
    }

    /// Length of a stream by the names in its dictionary; a filter that is not named there may be any.
    fn len_by_name(&self, dictionary: &[u8], data: &[u8]) -> Result<u64, Reason> {
        let has = |name: &[u8]| find(dictionary, name).is_some();
        let mut data = std::borrow::Cow::Borrowed(data);
        if has(b"/ASCII85Decode") {
            data = ascii85(&data).into();
        } else if has(b"/ASCIIHexDecode") {
            data = hex(&data).into();
        }
        let packings = find_iter(dictionary, b"/FlateDecode").count()
            + find_iter(dictionary, b"/LZWDecode").count();
        if packings > 1 {
            return Err(packed_twice());
        }
        Ok(if has(b"/LZWDecode") {
            lzw_len(&data, self.left())
        } else {
            inflated_len(&data, self.left()).max(data.len() as u64)
        })
    }
}

fn packed_twice() -> Reason {
    Reason::Broken("a stream is packed several times over".to_owned())
}

/// The dictionary before the word `stream`, as far as it is looked at.
fn dictionary(bytes: &[u8], stream: usize) -> &[u8] {
    let window = &bytes[stream.saturating_sub(DICTIONARY)..stream];
    let start = memchr::memmem::rfind(window, b"obj").map_or(0, |at| at + 3);
    &window[start..]
}

/// True for an image that cannot be a table of objects in disguise.
fn is_image(dictionary: &[u8]) -> bool {
    let has = |name: &[u8]| find(dictionary, name).is_some();
    has(b"/Width")
        && has(b"/Height")
        && !["/First", "/Root", "ObjStm", "XRef", "#"]
            .iter()
            .any(|name| has(name.as_bytes()))
}

/// From the line after the word `stream` to the word `endstream`, or to the end.
fn stream(bytes: &[u8], after_word: usize) -> Range<usize> {
    let rest = &bytes[after_word..];
    let skip = if rest.starts_with(b"\r\n") {
        2
    } else {
        usize::from(matches!(rest.first(), Some(b'\n' | b'\r')))
    };
    let start = after_word + skip;
    let len = find(&bytes[start..], b"endstream").unwrap_or(bytes.len() - start);
    start..start + len
}
