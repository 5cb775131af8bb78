//! Paths as a shell reads them: `*`, `?`, `[…]` and `**` stand for what is there.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use walkdir::{DirEntry, WalkDir};

use crate::call::Cancel;
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
pub(crate) fn paths(
    typed: &[PathBuf],
    session: &Session,
    cancel: &Cancel,
) -> Result<Paths, MagicError> {
    let mut out = Paths::default();
    for one in typed {
        let path = session.resolve(one);
        let word = one.display().to_string();
        if path.exists() {
            out.paths.push(path);
        } else if word.contains(['*', '?', '[']) {
            let found = matches(&word, session, cancel)?;
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

/// A pattern behind the folder that is named in plain letters.
struct Wanted {
    whole: Pattern,
    /// Its parts between slashes; `**` is none.
    parts: Vec<Option<Pattern>>,
    /// Where `**` first stands among them.
    deep: Option<usize>,
    /// Whether some part begins with a dot.
    hidden: bool,
    /// Whether only folders are meant.
    folders: bool,
}

impl Wanted {
    /// Reads `rest` of what was `typed`.
    fn read(typed: &str, rest: &str) -> Result<Wanted, MagicError> {
        let refused = |why: &str| {
            let message = format!("`{typed}` is no pattern: {why}");
            MagicError::new(ErrorKind::Usage, message)
                .with_hint("`*` stands for any letters, `?` for one, `[ab]` for one of these, `**` for folders of any depth")
        };
        let read = |part: &str| Pattern::new(part).map_err(|error| refused(error.msg));
        let parts: Vec<&str> = rest
            .split('/')
            .filter(|part| !["", "."].contains(part))
            .collect();
        if parts.contains(&"..") {
            return Err(refused("`..` can stand at its beginning only"));
        }
        let whole = read(&parts.join("/"))?;
        let is_deep = |part: &&str| *part == "**";
        Ok(Wanted {
            whole,
            deep: parts.iter().position(is_deep),
            hidden: parts.iter().any(|part| part.starts_with('.')),
            folders: rest.ends_with('/') || parts.last().is_some_and(is_deep),
            parts: parts
                .into_iter()
                .map(|part| (part != "**").then(|| read(part)).transpose())
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether `entry` may match, or what is in it.
    fn leads_on(&self, entry: &DirEntry) -> bool {
        let Some(at) = entry.depth().checked_sub(1) else {
            return true;
        };
        let name = entry.file_name().to_string_lossy();
        match self.parts.get(at) {
            Some(Some(part)) if self.deep.is_none_or(|deep| at < deep) => {
                part.matches_with(&name, LIKE_A_SHELL)
            }
            _ => self.hidden || !name.starts_with('.'),
        }
    }

    /// Whether `entry` is a link to a folder that `**` has come to: behind it may be all that was seen already.
    fn ends_at(&self, entry: &DirEntry) -> bool {
        let is_deep = self.deep.is_some_and(|deep| entry.depth() > deep);
        is_deep && entry.path_is_symlink() && entry.file_type().is_dir()
    }

    fn matches(&self, entry: &DirEntry, root: &Path) -> bool {
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
        (!self.folders || entry.file_type().is_dir())
            && self.whole.matches_path_with(below, LIKE_A_SHELL)
    }
}

/// What the pattern `typed` matches, sorted; nothing is an error.
fn matches(typed: &str, session: &Session, cancel: &Cancel) -> Result<Vec<PathBuf>, MagicError> {
    // A folder above may have a bracket in its name, which is no pattern of ours.
    let folder = folder_of(typed);
    let root = session.resolve(Path::new(folder));
    let wanted = Wanted::read(typed, &typed[folder.len()..])?;
    let most = wanted.deep.map_or(wanted.parts.len(), |_| usize::MAX);
    let mut walk = WalkDir::new(&root)
        .min_depth(1)
        .max_depth(most)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| wanted.leads_on(entry));
    let mut found = Vec::new();
    while let Some(entry) = walk.next() {
        if cancel.is_raised() {
            let message = format!("the search for `{typed}` was stopped");
            return Err(MagicError::new(ErrorKind::Interrupted, message));
        }
        // What may not be read is not matched, nor is a link that leads to a folder above it.
        let Ok(entry) = entry else { continue };
        if wanted.ends_at(&entry) {
            walk.skip_current_dir();
        }
        if wanted.matches(&entry, &root) {
            found.push(entry.into_path());
        }
    }
    if found.is_empty() {
        let there = near::there(folder, &near::entries(&root));
        let message = format!("`{typed}` matches nothing");
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
            let found = paths(&[typed.into()], &session, &Cancel::default())
                .map_err(|e| e.to_string() + "; " + &e.hint)?;
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
        assert_eq!(good("**/"), "deep deep/er");
        assert_eq!(good("./*/*/*.md"), "deep/er/d.md");
        assert_eq!(good(".h*"), ".hidden.md");
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
        assert!(found("*/../*.md").unwrap_err().contains("at its beginning"));
    }

    #[test]
    fn links_in_circles_end_and_a_search_can_be_stopped() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path();
        // Ten folders with links to all of them have more ways through them than can be walked.
        for n in 0..10 {
            let folder = base.join(format!("f{n}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("a.md"), "x").unwrap();
            for other in 0..10 {
                let link = folder.join(format!("to{other}"));
                std::os::unix::fs::symlink(base.join(format!("f{other}")), link).unwrap();
            }
        }
        let session = Session::new("".into(), base.to_owned(), "".into());
        let cancel = Cancel::default();
        let found = |typed: &str| paths(&[typed.into()], &session, &cancel);
        assert_eq!(found("**/a.md").unwrap().paths.len(), 10);
        // Who types a folder means it, also where it is a link; `f0/to0` leads to where it is.
        assert_eq!(found("f0/*/a.md").unwrap().paths.len(), 9);
        assert_eq!(
            found("f0/to1/**/a.md").unwrap().paths,
            [base.join("f0/to1/a.md")]
        );
        cancel.raise();
        assert_eq!(found("**/none").unwrap_err().kind, ErrorKind::Interrupted);
    }
}
