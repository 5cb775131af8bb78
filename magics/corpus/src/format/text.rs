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

/// Text from bytes: by byte-order mark, else UTF-8, else Windows-1252 where the bytes look like it, else as much of
/// UTF-8 as there is, with the rest replaced and counted.
pub(crate) fn decode(bytes: &[u8]) -> (String, Vec<String>) {
    let (text, name) = match bytes {
        [0xff, 0xfe, rest @ ..] => (utf16(rest, u16::from_le_bytes), "UTF-16"),
        [0xfe, 0xff, rest @ ..] => (utf16(rest, u16::from_be_bytes), "UTF-16"),
        [0xef, 0xbb, 0xbf, rest @ ..] => (String::from_utf8_lossy(rest).into_owned(), "UTF-8"),
        _ if is_windows_1252(bytes) => {
            let text = bytes.iter().map(|byte| windows_1252(*byte)).collect();
            return (text, vec!["not UTF-8: read as Windows-1252".to_owned()]);
        }
        _ => (String::from_utf8_lossy(bytes).into_owned(), "UTF-8"),
    };
    let replaced = text.matches('\u{fffd}').count();
    let remarks = match replaced {
        0 => Vec::new(),
        1 => vec![format!("one place was not {name} and was replaced")],
        _ => vec![format!(
            "{replaced} places were not {name} and were replaced"
        )],
    };
    (text, remarks)
}

/// True for bytes that are no UTF-8, have no control characters, and are mostly ASCII without any longer UTF-8 sequence.
fn is_windows_1252(bytes: &[u8]) -> bool {
    if std::str::from_utf8(bytes).is_ok() {
        return false;
    }
    let (mut high, mut sequences) = (0, 0);
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\t' | b'\n' | b'\r' | 0x0c | 0x20..=0x7e => {}
            0x80..=0xff if !matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d) => {
                high += 1;
                sequences +=
                    usize::from(*byte >= 0xc2 && matches!(bytes.get(index + 1), Some(0x80..=0xbf)));
            }
            _ => return false,
        }
    }
    high * 4 < bytes.len() && sequences * 4 <= high
}

/// The character of a byte in Windows-1252, the usual eight-bit code of western texts.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], text: &str, n_remarks: usize) {
        let (found, remarks) = decode(bytes);
        assert_eq!((found.as_str(), remarks.len()), (text, n_remarks));
    }

    #[test]
    fn encodings_are_told_apart() {
        check("Grüße".as_bytes(), "Grüße", 0);
        check(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße", 0);
        check(b"\xff\xfeG\0r\0\xfc\0", "Grü", 0);
        check(b"\xfe\xff\0G\0r\0\xfc", "Grü", 0);
        check(
            b"Caf\xe9 au lait, \x93ni\xf1o\x94 ...",
            "Café au lait, “niño” ...",
            1,
        );
    }

    #[test]
    fn what_is_no_text_is_replaced_and_counted() {
        let (text, remarks) = decode(b"good \xff\x01 bad \xfe\x02 end");
        assert_eq!(text, "good \u{fffd}\u{1} bad \u{fffd}\u{2} end");
        assert_eq!(remarks, ["2 places were not UTF-8 and were replaced"]);
        assert_eq!(decode(b"\xff\xfe\x00\xd8").0, "\u{fffd}");
    }

    #[test]
    fn a_first_line_set_off_is_the_title() {
        assert_eq!(
            read(b"A title\n\nText.").unwrap().title.as_deref(),
            Some("A title")
        );
        assert_eq!(read(b"Text that\ngoes on.").unwrap().title, None);
        assert_eq!(read(b" \n\t").unwrap_err(), Reason::Empty);
    }
}
