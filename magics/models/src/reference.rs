//! How a model is named: a directory, a file, a name on the hub, or a place in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::ModelsError;

/// The longest name that the hub gives.
const LONGEST: usize = 96;

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A directory with `config.json`, `*.safetensors` and a tokenizer.
    Directory(PathBuf),
    /// A `.gguf` file.
    Gguf(PathBuf),
    /// A repository on the hub, written `org/name[@revision][:file.gguf]`.
    Hub {
        /// `org/name`.
        name: String,
        /// Branch, tag or commit; `main` where none is named.
        revision: Option<String>,
        /// The one file to take, `.gguf`, with its folder inside the repository.
        file: Option<String>,
    },
    /// Objects in a bucket, written `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The beginning of the objects' keys, without a slash at either end; or the key of one `.gguf` file.
        prefix: String,
    },
}

impl FromStr for Reference {
    type Err = ModelsError;

    /// Reads a name. What exists as a directory or file is that, whatever else it could mean.
    fn from_str(text: &str) -> Result<Self, ModelsError> {
        let text = text.trim();
        if let Some(place) = text.strip_prefix("s3://") {
            return in_bucket(text, place);
        }
        if let Some((_, address)) = text.split_once("://") {
            return Err(from_address(text, address));
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::Directory(path.to_owned()));
        }
        if path.is_file() {
            return from_file(text, path);
        }
        let is_path = text.starts_with(['/', '.', '~']) || text.contains('\\');
        if is_path || (is_gguf(text) && !text.contains(':')) {
            let hint = if text.starts_with('~') {
                "write the path in full: `~` is not expanded here"
            } else {
                "a model is a directory with config.json and *.safetensors, or a .gguf file"
            };
            return Err(wrong(text, "there is no such directory or file", hint));
        }
        on_hub(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) | Self::Gguf(path) => write!(f, "{}", path.display()),
            Self::Hub {
                name,
                revision,
                file,
            } => {
                f.write_str(name)?;
                if let Some(revision) = revision {
                    write!(f, "@{revision}")?;
                }
                if let Some(file) = file {
                    write!(f, ":{file}")?;
                }
                Ok(())
            }
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

fn wrong(text: &str, why: &str, hint: &str) -> ModelsError {
    ModelsError::Reference {
        text: text.to_owned(),
        why: why.to_owned(),
        hint: hint.to_owned(),
    }
}

fn in_bucket(text: &str, place: &str) -> Result<Reference, ModelsError> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_matches('/');
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
        && bucket.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !bucket.contains("..");
    if !is_bucket {
        return Err(wrong(
            text,
            "that is no name of a bucket",
            "write `s3://bucket/folder`, the bucket in small letters",
        ));
    }
    if !prefix.is_empty() && !is_inside(prefix) {
        return Err(wrong(
            text,
            "the key has an empty part, `.` or `..`",
            "write `s3://bucket/folder`",
        ));
    }
    Ok(Reference::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// An address of a web page, from which the name is guessed.
fn from_address(text: &str, address: &str) -> ModelsError {
    let parts: Vec<&str> = address.split('/').skip(1).take(2).collect();
    let name = parts.join("/");
    let hint = if is_name(&name) {
        format!("write `{name}`; HF_ENDPOINT names another hub")
    } else {
        "write `org/name` for a model on the hub, or `s3://bucket/folder`".to_owned()
    };
    wrong(text, "addresses are not read", &hint)
}

fn from_file(text: &str, path: &Path) -> Result<Reference, ModelsError> {
    if is_gguf(text) {
        return Ok(Reference::Gguf(path.to_owned()));
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new(".")).display();
    Err(wrong(
        text,
        "a file must be a .gguf file",
        &format!("for safetensors name the directory: `{directory}`"),
    ))
}

fn on_hub(text: &str) -> Result<Reference, ModelsError> {
    const FORM: &str =
        "write `org/name`, `org/name@revision` or `org/name:file.gguf`, or a path that exists";
    let (rest, file) = match text.split_once(':') {
        Some((rest, file)) => (rest, Some(file)),
        None => (text, None),
    };
    let (name, revision) = match rest.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (rest, None),
    };
    if !is_name(name) {
        let why = if text.is_empty() {
            "it is empty"
        } else if name.contains('/') {
            "there is no such directory, and it is no name on the hub"
        } else {
            "there is no such directory, and a name on the hub has an owner"
        };
        return Err(wrong(text, why, FORM));
    }
    if let Some(revision) = revision
        && !(is_inside(revision) && revision.bytes().all(is_revision_byte))
    {
        return Err(wrong(text, "that is no branch, tag or commit", FORM));
    }
    if let Some(file) = file
        && !(is_inside(file) && is_gguf(file))
    {
        return Err(wrong(
            text,
            "after the colon comes a .gguf file of the repository",
            FORM,
        ));
    }
    Ok(Reference::Hub {
        name: name.to_owned(),
        revision: revision.map(str::to_owned),
        file: file.map(str::to_owned),
    })
}

/// Whether it is `org/name` by the rules of the hub.
pub(crate) fn is_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let is_part = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("--")
            && !part.contains("..")
    };
    parts.len() == 2 && name.len() <= LONGEST && parts.iter().all(is_part)
}

fn is_revision_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'+')
}

/// Whether it is called as GGUF files are.
pub(crate) fn is_gguf(name: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// Whether the path stays inside the directory that it is joined to, on every system.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(name: &str, revision: Option<&str>, file: Option<&str>) -> Reference {
        Reference::Hub {
            name: name.to_owned(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        }
    }

    #[test]
    fn names_are_read_and_written_back() {
        for (text, wanted) in [
            ("Qwen/Qwen3-0.6B", hub("Qwen/Qwen3-0.6B", None, None)),
            ("a/b@refs/pr/1", hub("a/b", Some("refs/pr/1"), None)),
            ("a/b:Q4/c.gguf", hub("a/b", None, Some("Q4/c.gguf"))),
            ("a/b@v1:c.gguf", hub("a/b", Some("v1"), Some("c.gguf"))),
            (
                "s3://models/qwen/small",
                Reference::S3 {
                    bucket: "models".to_owned(),
                    prefix: "qwen/small".to_owned(),
                },
            ),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap(), wanted);
            assert_eq!(wanted.to_string(), text);
        }
        assert_eq!(
            "s3://abc/x/".parse::<Reference>().unwrap().to_string(),
            "s3://abc/x"
        );
    }

    #[test]
    fn what_exists_is_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("org/name");
        std::fs::create_dir_all(&path).unwrap();
        let text = path.to_str().unwrap();
        assert_eq!(
            text.parse::<Reference>().unwrap(),
            Reference::Directory(path.clone())
        );
        let file = path.join("x.gguf");
        std::fs::write(&file, "").unwrap();
        let text = file.to_str().unwrap();
        assert_eq!(
            text.parse::<Reference>().unwrap(),
            Reference::Gguf(file.clone())
        );
        // A relative name, which could be one on the hub: the sources of this crate are there in every test.
        assert_eq!(
            "src".parse::<Reference>().unwrap(),
            Reference::Directory("src".into())
        );
        let error = "src/lib.rs".parse::<Reference>().unwrap_err();
        assert!(error.hint().unwrap().contains("`src`"), "{error:?}");
    }

    #[test]
    fn nonsense_is_answered_with_a_hint() {
        for (text, said) in [
            ("", "write `org/name`"),
            ("gpt2", "write `org/name`"),
            ("a/b/c", "write `org/name`"),
            ("a/b:c.bin", "write `org/name`"),
            ("a/b@", "write `org/name`"),
            ("a/b@../x", "write `org/name`"),
            ("a/b:../x.gguf", "write `org/name`"),
            ("a--b/c", "write `org/name`"),
            ("/no/such", "directory with config.json"),
            ("~/x", "in full"),
            ("no/such.gguf", "directory with config.json"),
            ("s3://A/x", "s3://bucket"),
            ("s3://abc/x/../y", "s3://bucket"),
            (
                "https://hub.example/org/name/tree/main",
                "write `org/name`;",
            ),
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(error.hint().unwrap().contains(said), "{text}: {error:?}");
        }
    }
}
