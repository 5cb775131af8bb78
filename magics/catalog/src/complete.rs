//! What could stand at the cursor of a magic's line: its name, its verbs, its flags, their values, paths, values.

use std::path::Path;

use crate::all::ALL;
use crate::magic::{Entry, Form};
use crate::session::Session;

/// Completions for the stretch of a line from byte `start` to the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Where the word that is being typed begins.
    pub start: usize,
    /// What could stand there, in the order in which it is offered.
    pub matches: Vec<String>,
}

/// Completes `line`, which begins with `%`, at byte `cursor`.
pub fn complete(line: &str, cursor: usize, session: &Session) -> Completion {
    let typed = line.get(..cursor).unwrap_or(line);
    let start = typed.rfind([' ', '\t']).map_or(0, |at| at + 1);
    let word = &typed[start..];
    let mut words = typed[..start].split_whitespace();
    let Some(first) = words.next() else {
        return Completion {
            start,
            matches: names(word),
        };
    };
    let form = if first.starts_with("%%") {
        Form::Cell
    } else {
        Form::Line
    };
    let name = first.trim_start_matches('%');
    let Some(entry) = ALL
        .iter()
        .find(|entry| entry.name == name && entry.form == form)
    else {
        return Completion::default();
    };
    let before: Vec<&str> = words.collect();
    Completion {
        start,
        matches: arguments(entry, &before, word, session),
    }
}

fn names(word: &str) -> Vec<String> {
    let all = ALL
        .iter()
        .map(|entry| format!("{}{}", entry.sigil(), entry.name));
    all.filter(|name| name.starts_with(word) || name.starts_with(&format!("%{word}")))
        .collect()
}

fn arguments(entry: &Entry, before: &[&str], word: &str, session: &Session) -> Vec<String> {
    let mut command = entry.command();
    command.build();
    let verb = before.iter().find_map(|word| command.find_subcommand(word));
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    if verb.is_none() && !verbs.is_empty() {
        return starting(verbs, word);
    }
    let shown = verb.unwrap_or(&command);
    let flags = || {
        shown
            .get_arguments()
            .filter_map(|argument| Some((argument, argument.get_long()?)))
    };
    if word.starts_with('-') {
        return starting(flags().map(|(_, long)| format!("--{long}")).collect(), word);
    }
    let open = before.last().and_then(|last| last.strip_prefix("--"));
    let valued = open.and_then(|name| flags().find(|(_, long)| *long == name));
    if let Some((argument, name)) =
        valued.filter(|(argument, _)| argument.get_action().takes_values())
    {
        let listed: Vec<String> = argument
            .get_possible_values()
            .iter()
            .map(|value| value.get_name().to_owned())
            .collect();
        return match name {
            _ if !listed.is_empty() => starting(listed, word),
            "out" | "dir" => paths(word, session),
            "model" => starting(models(session), word),
            "kg" | "init" => starting(values(session), word),
            "in" => starting(session.indexes(), word),
            "skip-rule" => starting(
                mlk8s_corpus::RULES
                    .iter()
                    .map(|rule| rule.name.to_owned())
                    .collect(),
                word,
            ),
            _ => Vec::new(),
        };
    }
    if entry.name == "corpus" {
        return paths(word, session);
    }
    if entry.name == "help" {
        return starting(
            ALL.iter().map(|entry| entry.name.to_owned()).collect(),
            word,
        );
    }
    if ["model", "compare", "ask"].contains(&entry.name) && !word.contains(['.', '~']) {
        let mut found = starting(models(session), word);
        if found.is_empty() && entry.name == "model" {
            found = paths(word, session);
        }
        return found;
    }
    let takes_files = ["kmeans", "encode", "embed", "search", "model"].contains(&entry.name);
    if takes_files && word.contains(['/', '.', '~']) {
        return paths(word, session);
    }
    starting(values(session), word)
}

/// Models by name: those that run, those of the cache, those in the directories of models.
fn models(session: &Session) -> Vec<String> {
    let running = session.workers.all().into_iter().map(|model| model.name);
    let places = session.hub().ok();
    let here = places.into_iter().flat_map(mlk8s_models::installed);
    let mut all: Vec<String> = running.chain(here.map(|model| model.name)).collect();
    all.extend(session.encoders.names());
    all.sort();
    all.dedup();
    all
}

fn values(session: &Session) -> Vec<String> {
    session.names().map(|(name, _)| name.to_owned()).collect()
}

fn starting(mut all: Vec<String>, word: &str) -> Vec<String> {
    all.retain(|candidate| candidate.starts_with(word));
    all
}

/// Files and folders that begin as `word` does; folders end in `/`.
fn paths(word: &str, session: &Session) -> Vec<String> {
    let (folder, begun) = word
        .rsplit_once('/')
        .map_or(("", word), |(folder, begun)| (folder, begun));
    let prefix = if word.contains('/') {
        format!("{folder}/")
    } else {
        String::new()
    };
    let looked_at = if prefix.is_empty() {
        session.resolve(Path::new("."))
    } else {
        session.resolve(Path::new(&prefix))
    };
    let Ok(entries) = std::fs::read_dir(looked_at) else {
        return Vec::new();
    };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !begun.starts_with('.');
            let slash = if entry.path().is_dir() { "/" } else { "" };
            (name.starts_with(begun) && !hidden).then(|| format!("{prefix}{name}{slash}"))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn check(line: &str, expected: &[&str]) {
        let session = Session::new(PathBuf::new(), PathBuf::from("/nowhere"), PathBuf::new());
        assert_eq!(complete(line, line.len(), &session).matches, expected);
    }

    #[test]
    fn names_verbs_flags_and_values_are_offered() {
        check("%wo", &["%wordcloud"]);
        check("%as", &["%%ask"]);
        check("%kg s", &["show", "stats"]);
        check("%kg show kg --h", &["--hops", "--help"]);
        check("%kg export kg --format g", &["graphml"]);
        check("%nothing x", &[]);
    }
}
