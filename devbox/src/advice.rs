//! An error together with what to type next.

use std::fmt;

/// What failed, and what the person can do about it.
#[derive(Debug)]
pub(crate) struct Advice {
    message: String,
    hint: String,
}

impl Advice {
    /// An error that says `message` and, set off from it, `hint`.
    pub(crate) fn error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Advice {
            message: message.into(),
            hint: hint.into(),
        })
    }

    /// The hint anywhere in the chain of `error`.
    pub(crate) fn hint_of(error: &anyhow::Error) -> Option<&str> {
        error
            .downcast_ref::<Advice>()
            .map(|advice| advice.hint.as_str())
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Advice {}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_hint_survives_added_context() {
        let error = Err::<(), _>(Advice::error("no Python", "install it"))
            .context("setting up")
            .unwrap_err();
        assert_eq!(Advice::hint_of(&error), Some("install it"));
        assert_eq!(format!("{error:#}"), "setting up: no Python");
    }
}
