//! Who may ask: keys, the clients that they stand for, and how urgent each client's requests are.

use std::collections::HashSet;

use mlk8s_generate::Class;
use sha2::{Digest as _, Sha256};

use crate::error::WorkerError;

/// The keys of a server; without any, everybody may ask.
#[derive(Default)]
pub struct Keys {
    known: Vec<Known>,
}

/// One key. Only its digest is kept, so that no dump of this process shows it.
struct Known {
    digest: [u8; 32],
    caller: Caller,
}

/// Who a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name that fairness, the log and the metrics count for.
    pub(crate) name: String,
    /// How urgent its requests are when they do not say.
    pub(crate) class: Class,
}

impl Keys {
    /// The keys in `text`: one a line, `KEY [NAME] [interactive|batch]`; lines with `#` in front are comments.
    ///
    /// `origin` names the text in errors. Text without any key is an error: it was meant to close the door.
    pub fn parse(text: &str, origin: &str) -> Result<Keys, WorkerError> {
        let mut known = Vec::new();
        let mut seen = HashSet::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let one = Known::parse(line, known.len() + 1).map_err(|reason| WorkerError::Keys {
                origin: origin.to_owned(),
                line: at + 1,
                reason,
            })?;
            if !seen.insert(one.digest) {
                return Err(WorkerError::Keys {
                    origin: origin.to_owned(),
                    line: at + 1,
                    reason: "this key is there twice",
                });
            }
            known.push(one);
        }
        if known.is_empty() {
            return Err(WorkerError::Keys {
                origin: origin.to_owned(),
                line: 0,
                reason: "there is no key",
            });
        }
        Ok(Keys { known })
    }

    /// Whether everybody may ask.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Who `key` stands for.
    ///
    /// Every key is compared, and all bytes of each, so that the time tells nothing.
    pub(crate) fn caller(&self, key: &str) -> Option<&Caller> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        for known in &self.known {
            let differ = known
                .digest
                .iter()
                .zip(&digest)
                .fold(0, |bits, (a, b)| bits | (a ^ b));
            if std::hint::black_box(differ) == 0 {
                found = Some(&known.caller);
            }
        }
        found
    }
}

impl Known {
    fn parse(line: &str, number: usize) -> Result<Known, &'static str> {
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or_default();
        let mut caller = Caller {
            name: format!("key-{number}"),
            class: Class::Interactive,
        };
        match (words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(word), None, _) => match class(word) {
                Some(class) => caller.class = class,
                None => word.clone_into(&mut caller.name),
            },
            (Some(name), Some(word), None) => {
                caller.class = class(word).ok_or("the class must be `interactive` or `batch`")?;
                name.clone_into(&mut caller.name);
            }
            _ => return Err("a line is `KEY [NAME] [interactive|batch]`"),
        }
        Ok(Known {
            digest: Sha256::digest(key).into(),
            caller,
        })
    }
}

/// The class of this name.
pub(crate) fn class(name: &str) -> Option<Class> {
    match name {
        "interactive" => Some(Class::Interactive),
        "batch" => Some(Class::Batch),
        _ => None,
    }
}

/// The name of a class.
pub(crate) fn class_name(class: Class) -> &'static str {
    match class {
        Class::Interactive => "interactive",
        Class::Batch => "batch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_name_and_a_class() {
        let text = "# ours\nsk-1 ada batch\n\nsk-2\n sk-3 grace \nsk-4 batch\n";
        let keys = Keys::parse(text, "keys").unwrap();
        let who = |key: &str| {
            keys.caller(key)
                .map(|caller| (caller.name.as_str(), caller.class))
        };
        assert_eq!(who("sk-1"), Some(("ada", Class::Batch)));
        assert_eq!(who("sk-2"), Some(("key-2", Class::Interactive)));
        assert_eq!(who("sk-3"), Some(("grace", Class::Interactive)));
        assert_eq!(who("sk-4"), Some(("key-4", Class::Batch)));
        for stranger in ["", "sk-", "sk-11", "ada", "# ours"] {
            assert_eq!(who(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn a_file_that_says_nothing_does_not_open_the_door() {
        let message = |text: &str| match Keys::parse(text, "keys") {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(message("# none\n"), "keys in `keys`: there is no key");
        assert_eq!(
            message("a\na x\n"),
            "keys in `keys`, line 2: this key is there twice"
        );
        assert_eq!(
            message("a ada slow\n"),
            "keys in `keys`, line 1: the class must be `interactive` or `batch`"
        );
    }
}
