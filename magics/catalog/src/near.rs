//! What a person may have meant who typed a path or a name that is not there.

use std::path::Path;

use crate::session::Session;

/// Suggestions at most.
const MOST: usize = 3;
/// Entries of a folder that are named before the rest is counted.
const NAMED: usize = 8;
/// Letters of the shortest name that is found inside another.
const INSIDE: usize = 4;
/// Letters of a slip of the hand.
const SLIP: usize = 2;

/// What is near a path that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Near {
    /// Paths that exist and are spelled almost so, as they would be typed.
    pub(crate) meant: Vec<String>,
    /// The last folder of the path that exists, as it was typed, and what is in it.
    folder: String,
    entries: Vec<String>,
}

impl Near {
    /// What is near `typed`, step by step: where a part is not there, those that are spelled almost so are tried.
    pub(crate) fn of(typed: &str, session: &Session) -> Near {
        let mut near = Near::default();
        let parts: Vec<&str> = typed.split('/').filter(|part| !part.is_empty()).collect();
        let begin = if typed.starts_with('/') { "/" } else { "" };
        near.descend(begin, &parts, session);
        near.meant
            .sort_by_key(|path| strsim::osa_distance(path, typed));
        near.meant.dedup();
        near.meant.truncate(MOST);
        near
    }

    /// Tries the parts of a path from the folder `begin` on.
    fn descend(&mut self, begin: &str, parts: &[&str], session: &Session) {
        let Some((part, rest)) = parts.split_first() else {
            self.meant.push(begin.to_owned());
            return;
        };
        let joined = |name: &str| match begin {
            "" | "/" => format!("{begin}{name}"),
            begin => format!("{begin}/{name}"),
        };
        if session.resolve(Path::new(&joined(part))).exists() {
            self.descend(&joined(part), rest, session);
            return;
        }
        let entries = entries(&session.resolve(Path::new(begin)));
        let similar = names(part, entries.iter().map(String::as_str));
        if self.entries.is_empty() {
            begin.clone_into(&mut self.folder);
            self.entries = entries;
        }
        for name in similar {
            self.descend(&joined(&name), rest, session);
        }
    }

    /// What to type, or what is there instead.
    pub(crate) fn hint(&self) -> String {
        if !self.meant.is_empty() {
            let meant: Vec<String> = self.meant.iter().map(|path| format!("`{path}`")).collect();
            return format!("did you mean {}?", meant.join(" or "));
        }
        there(&self.folder, &self.entries)
    }
}

/// What is in a folder, which is named as it was typed.
pub(crate) fn there(folder: &str, entries: &[String]) -> String {
    let place = match folder {
        "" | "." => "where the notebook is".to_owned(),
        folder => format!("in `{folder}`"),
    };
    if entries.is_empty() {
        return format!("{place} there is nothing");
    }
    let shown = entries.iter().take(NAMED).map(|name| format!("`{name}`"));
    let more = match entries.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let shown: Vec<String> = shown.collect();
    format!("{place} there is {}{more}", shown.join(", "))
}

/// Those of `known` that are spelled almost like `wanted`, the most similar first.
pub(crate) fn names<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = plain(wanted);
    let mut ranked: Vec<(usize, &str)> = known
        .filter_map(|name| {
            let plain = plain(name);
            // The name of the owner is often left out.
            let last = plain.rsplit('/').next().unwrap_or(&plain).to_owned();
            let edits = [&plain, &last].map(|one| strsim::osa_distance(one, &wanted));
            let edits = edits.into_iter().min().unwrap_or(usize::MAX);
            let shorter = last.len().min(wanted.len());
            let is_inside = shorter >= INSIDE && (wanted.contains(&last) || last.contains(&wanted));
            (is_inside || edits <= (wanted.chars().count() / 3).max(1)).then_some((edits, name))
        })
        .collect();
    ranked.sort_unstable();
    ranked.truncate(MOST);
    ranked
        .into_iter()
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Whether who typed `typed` meant `path` and slipped: at most [`SLIP`] letters are others. With another digit it is
/// another version of something, and no slip.
pub(crate) fn is_slip(typed: &str, path: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    strsim::osa_distance(typed, path) <= SLIP && digits(typed) == digits(path)
}

/// A name without what is often mistaken: case, dashes and dots.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric() || *c == '/');
    kept.flat_map(char::to_lowercase).collect()
}

/// Names in a folder, sorted; hidden ones are left out.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_are_found_by_their_spelling() {
        let known = ["openai-community/gpt2", "tiny", "minilm", "Qwen/Qwen3-0.6B"];
        let near = |wanted: &str| names(wanted, known.into_iter());
        assert_eq!(near("gpt-2-typo"), ["openai-community/gpt2"]);
        assert_eq!(near("tinny"), ["tiny"]);
        assert_eq!(near("mini-lm"), ["minilm"]);
        assert_eq!(near("qwen3-0.6b"), ["Qwen/Qwen3-0.6B"]);
        assert!(near("llama").is_empty());
    }

    #[test]
    fn paths_are_found_part_by_part() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("models/tiny")).unwrap();
        fs::create_dir_all(home.path().join("models/gpt2-f16")).unwrap();
        let session = Session::new("".into(), home.path().to_owned(), "".into());
        let hint = |typed: &str| Near::of(typed, &session).hint();
        assert_eq!(hint("./modles/tiny"), "did you mean `./models/tiny`?");
        assert_eq!(hint("modles/tinny"), "did you mean `models/tiny`?");
        assert_eq!(
            hint("./models/llama"),
            "in `./models` there is `gpt2-f16`, `tiny`"
        );
        assert_eq!(hint("elsewhere"), "where the notebook is there is `models`");
    }

    #[test]
    fn a_slip_is_a_letter_or_two_of_a_whole_path() {
        for (typed, path) in [
            ("modles/tiny", "models/tiny"),
            ("models/smal", "models/small"),
            ("Models/tinny", "models/tiny"),
        ] {
            assert!(is_slip(typed, path), "{typed}");
        }
        for (typed, path) in [
            ("openai/whisper-small", "openai/whisper"),
            ("Qwen/Qwen3-1.7B", "Qwen/Qwen3-0.6B"),
            ("openai-community/gpt2-xl", "openai-community/gpt2"),
            ("some/model", "some/where"),
        ] {
            assert!(!is_slip(typed, path), "{typed}");
        }
    }
}
