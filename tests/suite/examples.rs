//! Every example of every magic runs, on the sample articles, and shows what it promises.

use std::path::PathBuf;

use mlk8s_catalog::call::{Call, Cancel, Silent};
use mlk8s_catalog::magic::Form;
use mlk8s_catalog::session::Session;
use mlk8s_catalog::{ALL, find};

use crate::workspace::root;

/// A folder with the sample articles and tables in it, gone at the end.
fn notebook_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["articles", "models", "tables"] {
        let samples = std::fs::canonicalize(root().join("notebooks").join(name)).unwrap();
        std::os::unix::fs::symlink(samples, folder.path().join(name)).unwrap();
    }
    folder
}

fn session(folder: &std::path::Path) -> Session {
    let runtime = folder.join("runtime");
    std::fs::create_dir_all(&runtime).unwrap();
    Session::new(runtime, folder.to_owned(), folder.join("state"))
}

/// Runs one cell that is a magic; the text of what it shows.
pub(crate) fn run(code: &str, session: &mut Session) -> String {
    let (line, body) = code
        .split_once('\n')
        .map_or((code, None), |(line, body)| (line, Some(body)));
    let (form, typed) = match line.strip_prefix("%%") {
        Some(rest) => (Form::Cell, rest),
        None => (Form::Line, line.strip_prefix('%').unwrap()),
    };
    let (name, arguments) = typed.split_once(' ').unwrap_or((typed, ""));
    let mut call = Call {
        session,
        body,
        cancel: Cancel::default(),
        progress: &Silent,
        variable: &|_| None,
        frame: &|_| None,
        frames: &Vec::new,
        confirm: &|_| None,
        is_watched: false,
    };
    let view = find(name, form).and_then(|entry| entry.run(arguments, &mut call));
    match view {
        Ok(view) => view.text(),
        Err(error) => panic!("`{code}` failed: {error} ({})", error.hint),
    }
}

#[test]
fn every_example_shows_what_it_promises() {
    for entry in ALL {
        for example in entry.examples {
            let folder = notebook_folder();
            let mut session = session(folder.path());
            for before in example.after {
                run(before, &mut session);
            }
            let shown = run(example.cell, &mut session);
            let promised = example.shows;
            assert!(
                shown.contains(promised),
                "`{}` does not show `{promised}`:\n{shown}",
                example.cell
            );
        }
    }
}

#[test]
fn errors_say_what_to_type_next() {
    let folder = notebook_folder();
    let mut session = session(folder.path());
    let cells = [
        ("kg", "build docs", "nothing is called `docs`", "%corpus"),
        ("kg", "biuld docs", "unrecognized subcommand", "build"),
        ("corpus", "no/such/folder", "no/such/folder", "notebook"),
        ("corpus", "articles --as Docs", "small letters", ""),
        (
            "corpus",
            "articles --skip-rule nothing",
            "no cleaning rule called `nothing`",
            "ligatures",
        ),
        ("corpus", "\"articles", "quotation mark", "two"),
    ];
    for (name, arguments, message, hint) in cells {
        let mut call = Call {
            session: &mut session,
            body: None,
            cancel: Cancel::default(),
            progress: &Silent,
            variable: &|_| None,
            frame: &|_| None,
            frames: &Vec::new,
            confirm: &|_| None,
            is_watched: false,
        };
        let error = find(name, Form::Line)
            .unwrap()
            .run(arguments, &mut call)
            .unwrap_err();
        let whole = format!("{error}\n{}", error.hint);
        assert!(whole.contains(message), "%{name} {arguments}: {whole}");
        assert!(error.hint.contains(hint), "%{name} {arguments}: {whole}");
    }
    let unknown = find("crpus", Form::Line).unwrap_err();
    assert_eq!(unknown.hint, "did you mean `corpus`? `%lsmagic` lists all");
    let wrong_form = find("ask", Form::Line).unwrap_err();
    assert_eq!(wrong_form.hint, "type `%%ask`");
}

#[test]
fn a_stopped_magic_says_so() {
    let folder = notebook_folder();
    let mut session = session(folder.path());
    let cancel = Cancel::default();
    cancel.raise();
    let mut call = Call {
        session: &mut session,
        body: None,
        cancel,
        progress: &Silent,
        variable: &|_| None,
        frame: &|_| None,
        frames: &Vec::new,
        confirm: &|_| None,
        is_watched: false,
    };
    let error = find("corpus", Form::Line)
        .unwrap()
        .run("articles", &mut call)
        .unwrap_err();
    assert_eq!(error.kind.name(), "Interrupted");
}

#[test]
fn a_value_of_the_wrong_sort_is_named() {
    let folder = notebook_folder();
    let mut session = session(folder.path());
    run("%corpus articles --as docs", &mut session);
    let paths: Vec<PathBuf> = session
        .take_imports()
        .into_iter()
        .map(|import| import.path)
        .collect();
    assert!(paths.iter().all(|path| path.exists()));
    let error = session.graph("docs").err().unwrap();
    assert!(
        error
            .to_string()
            .contains("`docs` holds documents, not a graph"),
        "{error}"
    );
}
