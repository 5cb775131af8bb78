//! Plain text in UTF-8, UTF-16 or, failing both, as much of UTF-8 as there is.

use super::Extracted;
use crate::document::{Kind, Reason};

/// Reads plain text; the first line is the title when it is short and set off by an empty line.
pub(crate) fn read(bytes: &[u8]) -> Result<Extracted, Reason> {
    let (text, remarks) = decode(bytes);
    if text.trim().is_empty() {
        return Err(Reason::Empty);
    }
    let title = title(&text);
    Ok(Extracted::plain(Kind::Text, title, text, remarks))
}

/// Text from bytes: by byte-order mark, else UTF-8 with what is not UTF-8 replaced and counted.
pub(crate) fn decode(bytes: &[u8]) -> (String, Vec<String>) {
    let (text, name) = match bytes {
        [0xff, 0xfe, rest @ ..] => (utf16(rest, u16::from_le_bytes), "UTF-16"),
        [0xfe, 0xff, rest @ ..] => (utf16(rest, u16::from_be_bytes), "UTF-16"),
        [0xef, 0xbb, 0xbf, rest @ ..] => (String::from_utf8_lossy(rest).into_owned(), "UTF-8"),
        _ => (String::from_utf8_lossy(bytes).into_owned(), "UTF-8"),
    };
    let replaced = text.matches('\u{fffd}').count();
    let remarks = if replaced == 0 {
        Vec::new()
    } else {
        vec![format!(
            "{replaced} places were not {name} and were replaced"
        )]
    };
    (text, remarks)
}

fn utf16(bytes: &[u8], join: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| join([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or('\u{fffd}'))
        .collect()
}

fn title(text: &str) -> Option<String> {
    let text = text.trim_start();
    let (first, rest) = text.split_once('\n')?;
    let first = first.trim();
    let set_off = rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
    let short = first.chars().count() <= 160 && !first.ends_with('.');
    (set_off && short).then(|| first.to_owned())
}
