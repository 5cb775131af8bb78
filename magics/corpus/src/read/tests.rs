//! Whole reads of folders with good, bad and ugly files.

use std::sync::Mutex;

use super::*;
use crate::watch::Unwatched;

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn names(corpus: &Corpus) -> Vec<String> {
    corpus
        .documents
        .iter()
        .map(|document| file_name(&document.source))
        .collect()
}

fn reasons(corpus: &Corpus) -> Vec<(String, String)> {
    corpus
        .unreadable
        .iter()
        .map(|it| (file_name(&it.source), it.reason.to_string()))
        .collect()
}

#[test]
fn folders_are_walked_in_order_and_failures_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "b.txt", b"Text of b.");
    write(root, "a/z.md", b"# Title\n\nText of z.");
    write(root, "a/page.html", b"<title>P</title><p>Text.");
    write(
        root,
        "a/many.jsonl",
        b"{\"text\":\"One.\"}\n{\"text\":\"One.\"}\n",
    );
    write(root, ".hidden/secret.txt", b"Not read.");
    write(root, "picture.png", b"\x89PNG");
    write(root, "zero.pdf", b"");
    write(root, "blank.txt", b" \n ");
    write(root, "fake.pdf", b"%PDF-1.7 nothing");
    write(root, "only.md", b"```\ncode\n```\n");
    let corpus = read(&[root.to_owned()], &ReadOptions::default(), &Unwatched).unwrap();
    assert_eq!(
        names(&corpus),
        ["many.jsonl", "many.jsonl", "page.html", "z.md", "b.txt"]
    );
    let wanted = [
        ("blank.txt", "empty"),
        ("fake.pdf", "broken: no table of objects was found"),
        ("only.md", "no running text: nothing is left after cleaning"),
        ("picture.png", "not a format that is read here"),
        ("zero.pdf", "empty"),
    ];
    assert_eq!(
        reasons(&corpus),
        wanted.map(|(name, reason)| (name.to_owned(), reason.to_owned()))
    );
    let ids: BTreeSet<&str> = corpus
        .documents
        .iter()
        .map(|document| document.id.as_str())
        .collect();
    assert_eq!(
        ids.len(),
        5,
        "equal records of a file have ids of their own"
    );
    assert_eq!(corpus.documents[3].kind, Kind::Markdown);
    assert_eq!(
        (
            corpus.documents[3].title.as_str(),
            corpus.documents[4].title.as_str()
        ),
        ("Title", "b")
    );
}

#[test]
fn ids_depend_on_name_and_content_alone() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let id = |folder: &Path, name: &str, bytes: &[u8]| {
        let path = write(folder, name, bytes);
        read(&[path], &ReadOptions::default(), &Unwatched)
            .unwrap()
            .documents[0]
            .id
            .clone()
    };
    let first = id(one.path(), "a.txt", b"Text.");
    assert_eq!(first.len(), 16);
    assert_eq!(first, id(two.path(), "a.txt", b"Text."));
    assert_ne!(first, id(two.path(), "b.txt", b"Text."));
    assert_ne!(first, id(two.path(), "a.txt", b"Text!"));
}

#[test]
fn the_same_file_is_read_once_and_copies_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.txt", b"Text.");
    let copy = write(folder.path(), "copy/a.txt", b"Text.");
    let twice = [path.clone(), folder.path().to_owned(), path.clone()];
    let corpus = read(&twice, &ReadOptions::default(), &Unwatched).unwrap();
    assert_eq!(corpus.documents.len(), 1);
    assert_eq!(
        corpus.unreadable,
        [Unreadable {
            source: copy,
            reason: Reason::Duplicate { of: path }
        }]
    );
}

#[test]
fn what_was_asked_wrongly_is_an_error() {
    let missing = read(
        &[PathBuf::from("/no/such/folder")],
        &ReadOptions::default(),
        &Unwatched,
    )
    .unwrap_err();
    assert_eq!(missing.to_string(), "no file or folder `/no/such/folder`");
    let options = ReadOptions {
        skip_rules: BTreeSet::from(["hyphen".to_owned()]),
        ..ReadOptions::default()
    };
    let unknown = read(&[], &options, &Unwatched).unwrap_err();
    assert!(
        unknown
            .to_string()
            .starts_with("no cleaning rule named `hyphen`: there are control_characters, ")
    );
}

#[test]
fn files_over_the_limit_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.txt", &[b'x'; 100]);
    let options = ReadOptions {
        max_bytes: 99,
        ..ReadOptions::default()
    };
    let corpus = read(&[path], &options, &Unwatched).unwrap();
    assert_eq!(
        corpus.unreadable[0].reason,
        Reason::TooLarge {
            bytes: 100,
            limit: 99
        }
    );
}

/// A watch that writes down every step and cancels after some.
struct Noted {
    steps: Mutex<Vec<(usize, usize)>>,
    cancel_after: usize,
}

impl Watch for Noted {
    fn step(&self, done: usize, total: usize, _what: &str) {
        self.steps.lock().unwrap().push((done, total));
    }

    fn cancelled(&self) -> bool {
        self.steps.lock().unwrap().len() >= self.cancel_after
    }
}

#[test]
fn progress_is_told_and_a_read_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..20 {
        write(
            folder.path(),
            &format!("{index}.txt"),
            format!("Text {index}.").as_bytes(),
        );
    }
    let paths = [folder.path().to_owned()];
    let all = Noted {
        steps: Mutex::default(),
        cancel_after: usize::MAX,
    };
    assert_eq!(
        read(&paths, &ReadOptions::default(), &all)
            .unwrap()
            .documents
            .len(),
        20
    );
    let mut steps = all.steps.into_inner().unwrap();
    steps.sort_unstable();
    assert_eq!(steps, (1..=20).map(|done| (done, 20)).collect::<Vec<_>>());
    let some = Noted {
        steps: Mutex::default(),
        cancel_after: 3,
    };
    assert!(matches!(
        read(&paths, &ReadOptions::default(), &some),
        Err(CorpusError::Cancelled)
    ));
}

#[test]
fn a_panic_of_a_reader_is_a_broken_file() {
    let said = catch_unwind(|| panic!("index out of bounds: {}\nmore", 7)).unwrap_err();
    assert_eq!(panic_message(&*said), "index out of bounds: 7");
}

#[test]
fn a_very_long_line_is_read_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(
        folder.path(),
        "line.txt",
        "word and some more text ".repeat(400_000).as_bytes(),
    );
    let corpus = read(&[path], &ReadOptions::default(), &Unwatched).unwrap();
    let text = &corpus.documents[0].text;
    let sentences = crate::sentences(text);
    assert_eq!(text.len(), 400_000 * 24 - 1);
    assert!(sentences.iter().all(|range| range.len() < 2_100));
    let chunks = crate::chunks(text, 500);
    assert_eq!(
        chunks.last().map(|chunk| chunk.sentences.end),
        Some(sentences.len())
    );
}
