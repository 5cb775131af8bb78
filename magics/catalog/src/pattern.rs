//! Paths as a shell reads them: `*`, `?`, `[…]` and `**` stand for what is there.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::error::{ErrorKind, MagicError};
use crate::near::{self, Near};
use crate::session::Session;

/// Files of a pattern that are named before the rest is counted.
const NAMED: usize = 6;

/// As shells have it: `*` stays in its folder, and hidden files are meant only by who types the dot.
const LIKE_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What was typed as paths means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Files and folders that exist.
    pub(crate) paths: Vec<PathBuf>,
    /// What each pattern matched, as a sentence.
    pub(crate) matched: Vec<String>,
}

/// The paths that `typed` means; one that is not there, or a pattern that matches nothing, is an error that says what is.
pub(crate) fn paths(typed: &[PathBuf], session: &Session) -> Result<Paths, MagicError> {
    let mut out = Paths::default();
    for one in typed {
        let path = session.resolve(one);
        let word = one.display().to_string();
        if path.exists() {
            out.paths.push(path);
        } else if word.contains(['*', '?', '[']) {
            let found = matches(&word, session)?;
            out.matched.push(told(&word, &found));
            out.paths.extend(found);
        } else {
            let message = format!("there is no file or folder `{word}`");
            let hint = Near::of(&word, session).hint();
            return Err(
                MagicError::new(ErrorKind::NotFound, message).with_hint(format!(
                    "{hint}; paths begin where the notebook is, `~/` is your home folder"
                )),
            );
        }
    }
    Ok(out)
}

/// What `pattern` matches, sorted; nothing is an error.
fn matches(pattern: &str, session: &Session) -> Result<Vec<PathBuf>, MagicError> {
    // A folder above may have a bracket in its name, which is no pattern of ours.
    let (base, rest) = match pattern.strip_prefix("~/") {
        Some(rest) => (session.resolve(Path::new("~")), rest),
        None => (session.resolve(Path::new("")), pattern),
    };
    let whole = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        let base = Pattern::escape(&base.display().to_string());
        format!("{}/{rest}", base.trim_end_matches('/'))
    };
    let found = glob::glob_with(&whole, LIKE_A_SHELL).map_err(|error| {
        let message = format!("`{pattern}` is no pattern: {}", error.msg);
        MagicError::new(ErrorKind::Usage, message)
            .with_hint("`*` stands for any letters, `?` for one, `[ab]` for one of these, `**` for folders of any depth")
    })?;
    // What may not be read is not matched.
    let found: Vec<PathBuf> = found.flatten().collect();
    if found.is_empty() {
        let folder = folder_of(pattern);
        let there = near::there(folder, &near::entries(&session.resolve(Path::new(folder))));
        let message = format!("`{pattern}` matches nothing");
        return Err(MagicError::new(ErrorKind::NotFound, message).with_hint(there));
    }
    Ok(found)
}

/// The folder of a pattern that is named in plain letters.
fn folder_of(pattern: &str) -> &str {
    let plain = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let begin = &pattern[..plain];
    match begin.rfind('/') {
        Some(0) => "/",
        Some(at) => &begin[..at],
        None => "",
    }
}

/// How many files a pattern matched, and which.
fn told(pattern: &str, found: &[PathBuf]) -> String {
    let name = |path: &PathBuf| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = found.iter().take(NAMED).map(name).collect();
    if found.len() > NAMED {
        names.push(format!("and {} more", found.len() - NAMED));
    }
    format!("`{pattern}` matched {}: {}", found.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn patterns_are_read_as_a_shell_does() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("a [b]");
        fs::create_dir_all(base.join("deep/er")).unwrap();
        for file in [
            "b.md",
            "a.md",
            "c.txt",
            ".hidden.md",
            "odd[1].md",
            "deep/er/d.md",
        ] {
            fs::write(base.join(file), "x").unwrap();
        }
        let session = Session::new("".into(), base.clone(), "".into());
        let found = |typed: &str| {
            let found =
                paths(&[typed.into()], &session).map_err(|e| e.to_string() + "; " + &e.hint)?;
            let names = found.paths.iter().map(|path| {
                let path = path.strip_prefix(&base).unwrap();
                path.display().to_string()
            });
            Ok::<_, String>((names.collect::<Vec<_>>().join(" "), found.matched.join("")))
        };
        let good = |typed: &str| found(typed).unwrap().0;
        assert_eq!(good("*.md"), "a.md b.md odd[1].md");
        assert_eq!(found("?.md").unwrap().1, "`?.md` matched 2: a.md, b.md");
        assert_eq!(good("**/*.md"), "a.md b.md deep/er/d.md odd[1].md");
        assert_eq!(good("odd[1].md"), "odd[1].md");
        assert_eq!(
            good(&format!(
                "{}/[c]*",
                Pattern::escape(&base.display().to_string())
            )),
            "c.txt"
        );
        assert_eq!(
            found("*.pdf").unwrap_err(),
            "`*.pdf` matches nothing; where the notebook is there is `a.md`, `b.md`, `c.txt`, `deep`, `odd[1].md`"
        );
        assert!(
            found("deep/*.pdf")
                .unwrap_err()
                .contains("in `deep` there is `er`")
        );
        assert!(found("dep").unwrap_err().contains("did you mean `deep`?"));
        assert!(found("[a").unwrap_err().contains("is no pattern"));
    }
}
