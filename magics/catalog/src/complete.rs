//! What could stand at the cursor of a magic's line: its name, its verbs, its flags, their values, paths, values.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

use crate::all::ALL;
use crate::fetched::models_here;
use crate::magic::{Entry, Form};
use crate::near;
use crate::session::Session;

/// Completions for the stretch of a line from byte `start` to the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Where the word that is being typed begins.
    pub start: usize,
    /// What could stand there, in the order in which it is offered.
    pub matches: Vec<String>,
}

/// The frames of Rust cells and their columns.
pub type Frames = BTreeMap<String, Vec<String>>;

/// What there is to choose from.
struct Around<'a> {
    session: &'a Session,
    frames: &'a Frames,
}

/// Completes `line`, which begins with `%`, at byte `cursor`.
pub fn complete(line: &str, cursor: usize, session: &Session, frames: &Frames) -> Completion {
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
        matches: arguments(entry, &before, word, &Around { session, frames }),
    }
}

fn names(word: &str) -> Vec<String> {
    let all = ALL
        .iter()
        .map(|entry| format!("{}{}", entry.sigil(), entry.name));
    all.filter(|name| name.starts_with(word) || name.starts_with(&format!("%{word}")))
        .collect()
}

fn arguments(entry: &Entry, before: &[&str], word: &str, around: &Around) -> Vec<String> {
    let mut command = entry.command();
    command.build();
    let verb = before
        .iter()
        .position(|word| command.find_subcommand(word).is_some());
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    if verb.is_none() && !verbs.is_empty() {
        return starting(verbs, word);
    }
    let shown = verb
        .and_then(|at| command.find_subcommand(before[at]))
        .unwrap_or(&command);
    let before = &before[verb.map_or(0, |at| at + 1)..];
    if word.starts_with('-') {
        let flags = shown.get_arguments().filter_map(Arg::get_long);
        return starting(flags.map(|long| format!("--{long}")).collect(), word);
    }
    let open = before.last().and_then(|last| flag(shown, last));
    let plain = positional(shown, before);
    let argument = match open.filter(|argument| argument.get_action().takes_values()) {
        Some(argument) => Some(argument),
        // What follows several words that belong together is one more of them.
        None => shown
            .get_positionals()
            .nth(plain.len())
            .or_else(|| shown.get_positionals().last().filter(|last| is_many(last))),
    };
    let Some(argument) = argument else {
        return Vec::new();
    };
    let place = Place {
        magic: entry.name,
        verb: shown.get_name(),
        source: plain.first().copied(),
    };
    values(argument, &place, word, around)
}

/// Where an argument stands.
struct Place<'a> {
    magic: &'a str,
    verb: &'a str,
    /// The first word that is no flag: of many magics the table that all else speaks of.
    source: Option<&'a str>,
}

/// What `argument` can be.
fn values(argument: &Arg, place: &Place, word: &str, around: &Around) -> Vec<String> {
    let listed: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !listed.is_empty() {
        return starting(listed, word);
    }
    let session = around.session;
    let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    match (argument.get_id().as_str(), place.magic, place.verb) {
        ("graph", _, _) => [starting(graphs(session), word), paths(word, session)].concat(),
        _ if is_path => paths(word, session),
        ("columns" | "column" | "label" | "weights", _, _) => {
            columns(word, argument.get_id() == "columns", place.source, around)
        }
        ("source", _, _) => {
            let known = starting(tables(around), word);
            if known.is_empty() || word.contains(['/', '.', '~']) {
                [known, paths(word, session)].concat()
            } else {
                known
            }
        }
        ("model", "model", _) => {
            let known = starting(models_here(session), word);
            [known, paths(word, session)].concat()
        }
        ("name", "model", _) => {
            let running = session.workers.all().into_iter().map(|model| model.name);
            starting(running.collect(), word)
        }
        ("model" | "models" | "embed", _, _) => {
            let mut all = models_here(session);
            all.extend(
                endpoints(session)
                    .into_iter()
                    .map(|name| format!("@{name}")),
            );
            starting(all, word)
        }
        ("name", "endpoint", verb) if verb != "add" => starting(endpoints(session), word),
        ("index", _, _) | ("name", "search", _) => starting(session.indexes(), word),
        ("docs", _, _) => starting(sorted(session, "documents"), word),
        ("kg", _, _) => starting(sorted(session, "a graph"), word),
        ("init", _, _) => starting(tables(around), word),
        ("magic", _, _) => starting(
            ALL.iter().map(|entry| entry.name.to_owned()).collect(),
            word,
        ),
        ("verb", _, _) => starting(verbs(place.source), word),
        ("skip_rule", _, _) => {
            let rules = mlk8s_corpus::RULES.iter();
            starting(rules.map(|rule| rule.name.to_owned()).collect(), word)
        }
        _ => Vec::new(),
    }
}

/// The flag that `word` is.
fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--");
    let short = word.strip_prefix('-').filter(|rest| rest.len() == 1);
    command.get_arguments().find(|argument| {
        (long.is_some() && argument.get_long() == long)
            || (short.is_some() && argument.get_short() == short.and_then(|s| s.chars().next()))
    })
}

/// The words of `before` that are neither flags nor what flags take.
fn positional<'a>(command: &Command, before: &[&'a str]) -> Vec<&'a str> {
    let mut out = Vec::new();
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            out.push(*word);
        } else if flag(command, word).is_some_and(|flag| flag.get_action().takes_values()) {
            words.next();
        }
    }
    out
}

fn is_many(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|n| n.max_values() > 1)
}

/// Columns of the table `source`; with commas between them where there may be several.
fn columns(word: &str, several: bool, source: Option<&str>, around: &Around) -> Vec<String> {
    let Some(source) = source else {
        return Vec::new();
    };
    let known = match around.frames.get(source) {
        Some(columns) => columns.clone(),
        None => crate::rows::known_columns(source, around.session),
    };
    let (done, open) = match word.rsplit_once(',') {
        Some((done, open)) if several => (format!("{done},"), open),
        _ => (String::new(), word),
    };
    let is_named = |name: &String| done.split(',').any(|one| one == name);
    let left = known.into_iter().filter(|name| !is_named(name));
    // A name with blanks is one word between quotation marks only.
    let quoted = left.map(|name| {
        if name.contains(char::is_whitespace) {
            format!("\"{name}\"")
        } else {
            name
        }
    });
    let found = starting(quoted.collect(), open);
    found
        .into_iter()
        .map(|name| format!("{done}{name}"))
        .collect()
}

/// Whatever has rows: documents, frames of magics and of Rust cells, vectors.
fn tables(around: &Around) -> Vec<String> {
    let names = around.session.names();
    let known = names.filter(|(_, sort)| crate::rows::is_table(sort));
    let mut all: Vec<String> = known.map(|(name, _)| name.to_owned()).collect();
    all.extend(around.frames.keys().cloned());
    all.sort();
    all.dedup();
    all
}

/// Values of one sort.
fn sorted(session: &Session, wanted: &str) -> Vec<String> {
    let names = session.names().filter(|(_, sort)| *sort == wanted);
    names.map(|(name, _)| name.to_owned()).collect()
}

/// Graphs that are stored.
fn graphs(session: &Session) -> Vec<String> {
    near::entries(&session.graph_dir(""))
}

fn endpoints(session: &Session) -> Vec<String> {
    let all = session.models.endpoints().map(|endpoints| endpoints.all());
    all.unwrap_or_default()
        .into_iter()
        .map(|one| one.name)
        .collect()
}

/// Verbs of a magic.
fn verbs(magic: Option<&str>) -> Vec<String> {
    let entry = ALL.iter().find(|entry| Some(entry.name) == magic);
    let command = entry.map(Entry::command);
    let verbs = command.iter().flat_map(Command::get_subcommands);
    verbs.map(|verb| verb.get_name().to_owned()).collect()
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
    use crate::session::Value;

    fn check(line: &str, expected: &[&str]) {
        let home = tempfile::tempdir().unwrap();
        let at = |path: &str| home.path().join(path);
        for folder in [
            "notes",
            "state/search/library",
            "state/graphs/old",
            "models/tiny",
        ] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        let commit = r#"{"payload": "{}"}"#;
        std::fs::write(at("state/search/library/meta.json"), commit).unwrap();
        std::fs::write(at("points.csv"), "x,name,total income\n1,a,2\n").unwrap();
        std::fs::write(at("models/tiny/config.json"), "{}").unwrap();
        let mut session = Session::new(PathBuf::new(), home.path().to_owned(), at("state"));
        session.look_for_models_in(at("models"));
        session.put("words", Value::Text("x".into()), Vec::new());
        let columns = ["age", "income", "name"].map(str::to_owned).to_vec();
        let frames = Frames::from([("people".to_owned(), columns)]);
        let found = complete(line, line.len(), &session, &frames).matches;
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn names_verbs_flags_and_values_are_offered() {
        check("%wo", &["%wordcloud"]);
        check("%as", &["%%ask"]);
        check("%kg s", &["show", "stats"]);
        check("%kg show kg --h", &["--hops", "--help"]);
        check("%kg export kg --format g", &["graphml"]);
        check("%cost cl", &["cluster"]);
        check("%help search qu", &["query"]);
        check("%nothing x", &[]);
    }

    #[test]
    fn columns_are_those_of_the_table_that_is_named() {
        check("%kmeans people --columns ", &["age", "income", "name"]);
        check("%kmeans people -k 3 --columns age,i", &["age,income"]);
        check("%kmeans -k 3 people --label n", &["name"]);
        check(
            "%encode points.csv --columns ",
            &["x", "name", "\"total income\""],
        );
        check("%kmeans nobody --columns ", &[]);
    }

    #[test]
    fn what_is_on_the_disk_is_offered_where_it_can_stand() {
        check("%search query light --in l", &["library"]);
        check("%search query li", &[]);
        check("%search remove ", &["library"]);
        check("%kg open o", &["old"]);
        check("%corpus n", &["notes/"]);
        check("%corpus notes p", &["points.csv"]);
        check("%kmeans p", &["people"]);
        check("%kmeans ./po", &["./points.csv"]);
        check("%model load ti", &["tiny"]);
        check("%model load ./mo", &["./models/"]);
        check("%search build people --model ti", &["tiny"]);
        check("%%ask --json-schema po", &["points.csv"]);
    }
}
