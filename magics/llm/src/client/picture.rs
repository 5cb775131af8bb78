//! Pictures as requests carry them.

use std::path::Path;

use base64::Engine as _;

use crate::error::LlmError;

/// A file of a picture that is larger is not sent.
const MOST_BYTES: u64 = 64 << 20;

/// The picture in the file `path` as a `data:` URI (RFC 2397).
pub(super) fn uri(path: &Path) -> Result<String, LlmError> {
    let unreadable = |why: String| LlmError::Picture {
        path: path.display().to_string(),
        why,
    };
    let about = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !about.is_file() {
        return Err(unreadable("it is no file".to_owned()));
    }
    if about.len() > MOST_BYTES {
        let size = about.len() >> 20;
        return Err(unreadable(format!(
            "it has {size} MiB, and {} may be sent",
            MOST_BYTES >> 20
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let kind = kind(&bytes).ok_or_else(|| unreadable("it is no PNG, JPEG or WebP".to_owned()))?;
    let mut uri = format!("data:image/{kind};base64,");
    base64::engine::general_purpose::STANDARD.encode_string(&bytes, &mut uri);
    Ok(uri)
}

/// What tells a picture from another without reading it: its path, its size, and when it was changed.
pub(super) fn stamp(path: &Path) -> String {
    let about = std::fs::metadata(path).ok();
    let size = about.as_ref().map(std::fs::Metadata::len);
    let changed = about.and_then(|about| about.modified().ok());
    format!("{} {size:?} {changed:?}", path.display())
}

/// What kind of picture a file is, by its first bytes.
fn kind(file: &[u8]) -> Option<&'static str> {
    if file.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("png")
    } else if file.starts_with(b"\xff\xd8\xff") {
        Some("jpeg")
    } else if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP") {
        Some("webp")
    } else {
        None
    }
}

/// The error of a request for the vectors of `files`: a server names a picture by its number, and we by its file.
pub(super) fn named<P: AsRef<Path>>(error: LlmError, files: &[P]) -> LlmError {
    match error {
        LlmError::Refused {
            endpoint,
            status,
            message,
        } => {
            let number = message.split_once("input[").and_then(|(_, rest)| {
                let (number, _) = rest.split_once(']')?;
                number.parse::<usize>().ok()
            });
            let file = number.and_then(|number| files.get(number)).or(match files {
                [only] => Some(only),
                _ => None,
            });
            let message = match file {
                Some(file) => format!("{message} (`{}`)", file.as_ref().display()),
                None => message,
            };
            LlmError::Refused {
                endpoint,
                status,
                message,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            uri(&path)
        };
        assert_eq!(
            at("a", b"\xff\xd8\xff").unwrap(),
            "data:image/jpeg;base64,/9j/"
        );
        assert!(
            at("b", b"RIFF....WEBP")
                .unwrap()
                .starts_with("data:image/webp;")
        );
        let error = at("c.png", b"no picture").unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("c.png`: it is no PNG, JPEG or WebP")
        );
        assert!(uri(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_refused_picture_is_named_by_its_file() {
        let refused = |message: &str| LlmError::Refused {
            endpoint: "clip".to_owned(),
            status: 400,
            message: message.to_owned(),
        };
        let name = |message: &str, files: &[&str]| named(refused(message), files).to_string();
        let broken = "`input[1].image` is no picture that can be read: short";
        assert_eq!(
            name(broken, &["a.png", "b.png"]),
            format!("`clip` answered 400: {broken} (`b.png`)")
        );
        assert!(name("the body is too large", &["a.png"]).ends_with("(`a.png`)"));
        assert!(name("the body is too large", &["a.png", "b.png"]).ends_with("too large"));
    }
}
