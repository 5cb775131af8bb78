//! What a store promises: nothing twice, nothing lost, nothing left over, the same graph on every way.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mlk8s_corpus::{Unwatched, Watch};
use tempfile::{TempDir, tempdir};

use super::Store;
use super::commit::MANY_SEGMENTS;
use crate::error::GraphError;
use crate::sample::{document, documents};

fn empty() -> (TempDir, Store) {
    let dir = tempdir().unwrap();
    let store = Store::open(&dir.path().join("new/graph")).unwrap();
    (dir, store)
}

fn fingerprint(store: &Store) -> String {
    store.load().unwrap().fingerprint()
}

#[test]
fn the_way_to_a_set_of_documents_does_not_matter() {
    let all = documents();
    let (_one, mut at_once) = empty();
    let report = at_once.add(&all, &Unwatched).unwrap();
    assert_eq!((report.added, report.skipped, report.documents), (4, 0, 4));
    assert!(report.sentences > 10 && report.triples > 8, "{report:?}");

    let (_two, mut one_by_one) = empty();
    for document in all.iter().rev() {
        one_by_one
            .add(std::slice::from_ref(document), &Unwatched)
            .unwrap();
    }
    let extra = document(
        "Extra",
        "Larry Page met Sergey Brin at Stanford University (SU).",
    );
    one_by_one
        .add(std::slice::from_ref(&extra), &Unwatched)
        .unwrap();
    assert_ne!(fingerprint(&at_once), fingerprint(&one_by_one));
    let report = one_by_one.remove(&[extra.id]).unwrap();
    assert_eq!((report.removed, report.documents), (1, 4));
    assert_eq!(fingerprint(&at_once), fingerprint(&one_by_one));
}

#[test]
fn what_is_there_is_not_done_again_unless_its_text_changed() {
    let (_dir, mut store) = empty();
    let mut all = documents();
    store.add(&all[..3], &Unwatched).unwrap();
    let report = store.add(&all, &Unwatched).unwrap();
    assert_eq!((report.added, report.skipped), (1, 3));
    all[0]
        .text
        .push_str(" A new sentence about copper follows.");
    let report = store.add(&all, &Unwatched).unwrap();
    assert_eq!((report.added, report.skipped, report.documents), (1, 3, 4));
    let (_other, mut fresh) = empty();
    fresh.add(&all, &Unwatched).unwrap();
    assert_eq!(fingerprint(&store), fingerprint(&fresh));
    assert_eq!(store.runs().len(), 3);
}

#[test]
fn retain_leaves_the_graph_of_the_others() {
    let (_dir, mut store) = empty();
    let all = documents();
    store.add(&all, &Unwatched).unwrap();
    let ids: BTreeSet<String> = all[1..3].iter().map(|d| d.id.clone()).collect();
    assert_eq!(store.retain(&ids).unwrap().removed, 2);
    assert_eq!(store.retain(&ids).unwrap().removed, 0);
    let (_other, mut fresh) = empty();
    fresh.add(&all[1..3], &Unwatched).unwrap();
    assert_eq!(fingerprint(&store), fingerprint(&fresh));
}

/// Says stop once some documents are finished.
struct StopAfter(usize, AtomicUsize);

impl Watch for StopAfter {
    fn step(&self, done: usize, _total: usize, _what: &str) {
        self.1.fetch_max(done, Ordering::SeqCst);
    }

    fn cancelled(&self) -> bool {
        self.1.load(Ordering::SeqCst) >= self.0
    }
}

#[test]
fn a_stop_keeps_what_is_finished() {
    let (_dir, mut store) = empty();
    let many: Vec<_> = (0..40)
        .map(|i| document(&format!("T{i}"), &format!("Person{i} visits Town{i}.")))
        .collect();
    let report = store
        .add(&many, &StopAfter(5, AtomicUsize::new(0)))
        .unwrap();
    assert!(
        report.cancelled && report.added >= 5 && report.added < 40,
        "{report:?}"
    );
    assert_eq!(store.documents().len(), report.added);
    let rest = store.add(&many, &Unwatched).unwrap();
    assert_eq!(
        (rest.added, rest.skipped, rest.cancelled),
        (40 - report.added, report.added, false)
    );
}

#[test]
fn leftovers_of_a_kill_are_swept_away() {
    let (_dir, mut store) = empty();
    store.add(&documents(), &Unwatched).unwrap();
    let (dir, before) = (store.dir.clone(), fingerprint(&store));
    fs::create_dir_all(dir.join("segments/s000099.unfinished")).unwrap();
    fs::create_dir_all(dir.join("segments/s000098")).unwrap();
    fs::write(dir.join("segments/s000098/documents.parquet"), b"half").unwrap();
    fs::write(dir.join("manifest.json.unfinished"), b"{").unwrap();
    let again = Store::open(&dir).unwrap();
    assert_eq!(fingerprint(&again), before);
    assert_eq!(fs::read_dir(dir.join("segments")).unwrap().count(), 1);
}

#[test]
fn damage_is_told_and_is_no_panic() {
    let (_dir, mut store) = empty();
    store.add(&documents(), &Unwatched).unwrap();
    for file in ["documents", "sentences", "mentions", "triples"] {
        let path = store.segment_dir("s000001").join(format!("{file}.parquet"));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(
            matches!(store.load(), Err(GraphError::Damaged { .. })),
            "{file}"
        );
        fs::write(&path, whole).unwrap();
    }
    store.load().unwrap();
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let (_dir, mut store) = empty();
    store.add(&documents(), &Unwatched).unwrap();
    let lock = store.begin_writing().unwrap();
    let mut second = Store::open(&store.dir).unwrap();
    assert!(matches!(
        second.add(&documents(), &Unwatched),
        Err(GraphError::Busy { .. })
    ));
    assert_eq!(fingerprint(&second), fingerprint(&store));
    drop(lock);
    assert_eq!(second.add(&documents(), &Unwatched).unwrap().skipped, 4);
}

#[test]
fn many_small_segments_are_put_together() {
    let (_dir, mut store) = empty();
    store.commit_after(Duration::ZERO);
    let many: Vec<_> = (0..60)
        .map(|i| {
            document(
                &format!("T{i}"),
                &format!("Person{i} visits Town{}.", i % 7),
            )
        })
        .collect();
    for some in many.chunks(2) {
        store.add(some, &Unwatched).unwrap();
        assert!(store.manifest.segments.len() <= MANY_SEGMENTS);
    }
    let (_other, mut fresh) = empty();
    fresh.add(&many, &Unwatched).unwrap();
    assert_eq!(fingerprint(&store), fingerprint(&fresh));
    let n_folders = fs::read_dir(store.dir.join("segments")).unwrap().count();
    assert_eq!(n_folders, store.manifest.segments.len());
}

#[test]
fn merges_can_be_taken_back() {
    let (_dir, mut store) = empty();
    store.add(&documents(), &Unwatched).unwrap();
    let merged = fingerprint(&store);
    let names = |store: &Store| {
        store
            .load()
            .unwrap()
            .merges()
            .column("name")
            .unwrap()
            .str()
            .unwrap()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(
        names(&store).contains(&"QA".to_owned()),
        "{:?}",
        names(&store)
    );
    store.set_unmerged("QA", true).unwrap();
    assert!(!names(&store).contains(&"QA".to_owned()));
    let mut again = Store::open(&store.dir).unwrap();
    assert_ne!(fingerprint(&again), merged);
    again.set_unmerged("QA", false).unwrap();
    assert_eq!(fingerprint(&again), merged);
}

#[test]
fn hostile_documents_are_stored_like_others() {
    let (_dir, mut store) = empty();
    let line = "x".repeat(100_000);
    let texts = [
        "",
        "\0\0\0",
        "<script>alert(1)</script> is a title of <b>Bold</b>.",
        &line,
        "é̂́ 🦀 ﬁ\u{202e}",
        "....\n\n((((\n\n))))",
    ];
    let all: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| document(&format!("<T\"{i}\n>"), text))
        .collect();
    assert_eq!(store.add(&all, &Unwatched).unwrap().documents, texts.len());
    let index = store.load().unwrap();
    index.ask("What is <script>?", &crate::AskOptions::default(), &[]);
    index.ask("", &crate::AskOptions::default(), &[]);
    assert_eq!(index.stats().documents, texts.len());
}
