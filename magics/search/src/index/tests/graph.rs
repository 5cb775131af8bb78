//! An index with a graph: found along it, mended when it is damaged, whole after a kill.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::Nearest;

/// Tells this test that it is the writer, and where.
const WRITER: &str = "MLK8S_SEARCH_TEST_GRAPH_WRITER";
const DIMS: usize = 8;
/// Enough for a walk to be cheaper than looking at all.
const N: usize = 16_000;

fn settings() -> Settings {
    Settings {
        nearest: Nearest::Hnsw,
        ..Settings::default()
    }
}

/// Adds the items of a range, each with its vector.
fn add(index: &mut Index, range: std::ops::Range<usize>) {
    let values: Vec<f32> = range.clone().flat_map(vector).collect();
    let items: Vec<Item> = range.map(numbered).collect();
    let vectors = Vectors {
        values: &values,
        dims: DIMS,
    };
    index.add(&items, Some(vectors), &Silent).unwrap();
}

fn numbered(i: usize) -> Item {
    let mut item = item(&format!("n{i}"), "words");
    let rest = (i % 100) as f64;
    item.fields.insert("rest".to_owned(), Value::Number(rest));
    item
}

fn vector(i: usize) -> Vec<f32> {
    random(1, DIMS, i as u64)
}

fn near(i: usize, filter: &str) -> Query {
    Query {
        vector: Some(vector(i)),
        mode: Mode::Vectors,
        filter: filter.to_owned(),
        ..Query::default()
    }
}

fn first(index: &Index, i: usize) -> String {
    index.search(&near(i, "")).unwrap().hits[0].item.id.clone()
}

fn graph_file(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("vectors")).unwrap().flatten();
    let mut graphs = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "hnsw"));
    let graph = graphs.next().unwrap();
    assert_eq!(graphs.next(), None, "leftovers are swept away");
    graph
}

#[test]
fn a_graph_is_made_used_kept_and_grown() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), settings()).unwrap();
    add(&mut index, 0..N);
    assert_eq!(index.stats().recall, None, "only order brings a graph");
    let recall = index.compact(&Silent).unwrap().recall.unwrap();
    assert!(recall.share() >= 0.95, "{recall}");
    assert_eq!(index.stats().recall, Some(recall));
    let found = index.search(&near(7, "")).unwrap();
    assert_eq!(
        (found.recall, found.hits[0].item.id.as_str()),
        (Some(recall), "n7")
    );
    let exact = Query {
        exact: true,
        ..near(7, "")
    };
    let all = index.search(&exact).unwrap();
    assert_eq!((all.recall, &all.hits[0]), (None, &found.hits[0]));

    // What is not in the graph is found, too, and what was removed is not.
    add(&mut index, N..N + 300);
    index.remove(&["n7"]).unwrap();
    assert_eq!(
        (first(&index, N + 5), index.stats().recall),
        (format!("n{}", N + 5), Some(recall))
    );
    assert_ne!(first(&index, 7), "n7");
    let filtered = index.search(&near(7, "rest >= 10")).unwrap();
    assert_eq!((filtered.recall, filtered.hits.len()), (Some(recall), 10));
    let passes =
        |hit: &crate::Hit| matches!(hit.item.fields["rest"], Value::Number(n) if n >= 10.0);
    assert!(filtered.hits.iter().all(passes));
    // Few are looked at one by one.
    let few = index.search(&near(7, "rest = 8")).unwrap();
    assert_eq!((few.recall, few.hits.len()), (None, 10));

    let before = graph_file(dir.path());
    assert_eq!(index.compact(&Silent).unwrap().n_dropped, 1);
    let after = graph_file(dir.path());
    assert_ne!(before, after);
    assert_eq!(first(&index, N + 5), format!("n{}", N + 5));
    assert_ne!(first(&index, 7), "n7");
    index.compact(&Silent).unwrap();
    assert_eq!(graph_file(dir.path()), after, "in order already");
    index.verify().unwrap();
}

#[test]
fn a_damaged_graph_is_told_and_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), settings()).unwrap();
    add(&mut index, 0..N);
    index.compact(&Silent).unwrap();
    let whole = fs::read(graph_file(dir.path())).unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    let mut flipped = whole.clone();
    flipped[128..]
        .iter_mut()
        .step_by(64)
        .for_each(|byte| *byte ^= 1);
    for bytes in [None, Some(cut), Some(flipped)] {
        let path = graph_file(dir.path());
        fs::remove_file(&path).unwrap();
        if let Some(bytes) = &bytes {
            fs::write(&path, bytes).unwrap();
        }
        let mut index = Index::open(dir.path()).unwrap();
        let error = index.verify().unwrap_err();
        assert!(
            matches!(&error, SearchError::Damaged { path: p, .. } if *p == path),
            "{error}"
        );
        let found = index.search(&near(9, "")).unwrap();
        assert_eq!((found.recall, found.hits[0].item.id.as_str()), (None, "n9"));
        assert!(
            found.notes[0].contains("all vectors were looked at"),
            "{:?}",
            found.notes
        );
        index.compact(&Silent).unwrap();
        index.verify().unwrap();
        assert_eq!(fs::read(graph_file(dir.path())).unwrap(), whole);
        assert_eq!(
            index.search(&near(9, "")).unwrap().notes,
            Vec::<String>::new()
        );
    }
}

#[test]
fn few_vectors_have_no_graph_and_old_settings_are_read() {
    assert!(!Nearest::Auto.wants_graph(199_999) && Nearest::Auto.wants_graph(200_000));
    assert!(!Nearest::Hnsw.wants_graph(4096) && !Nearest::Exact.wants_graph(usize::MAX));
    let old = r#"{"format":1,"settings":{"language":"English","model":"m"},"n_rows":0,"n_files":0,
        "dims":null,"segments":[],"fields":[]}"#;
    let commit = Commit::read(Path::new("x"), Some(old)).unwrap();
    assert_eq!(
        (commit.settings.nearest, commit.graph),
        (Nearest::Auto, None)
    );
}

/// Adds some items and puts the index in order, again and again, until it is killed.
fn write_on(dir: &Path) {
    let mut index = Index::open(dir).unwrap();
    loop {
        let n = index.stats().n_items;
        add(&mut index, n..n + 50);
        index.compact(&Silent).unwrap();
    }
}

#[test]
fn a_kill_while_a_graph_is_made_leaves_a_whole_index() {
    if let Some(dir) = std::env::var_os(WRITER) {
        write_on(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), settings()).unwrap();
    add(&mut index, 0..N);
    index.compact(&Silent).unwrap();
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..4 {
        let before = Index::open(dir.path()).unwrap().stats().n_items;
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "index::tests::graph::a_kill_while_a_graph_is_made_leaves_a_whole_index",
            ])
            .env(WRITER, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The items come first, then the graph is made.
        while Index::open(dir.path()).unwrap().stats().n_items == before {
            assert!(writer.try_wait().unwrap().is_none(), "the writer fell over");
        }
        for i in 0..rng.usize(..40) {
            assert_eq!(first(&Index::open(dir.path()).unwrap(), i), format!("n{i}"));
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let index = Index::open(dir.path()).unwrap();
        index.verify().unwrap();
        let n = index.stats().n_items;
        assert!(n > before && index.stats().n_vectors == n);
        assert!(index.stats().recall.is_some());
        assert_eq!(first(&index, n - 1), format!("n{}", n - 1));
    }
    let mut index = Index::open(dir.path()).unwrap();
    index.compact(&Silent).unwrap();
    index.verify().unwrap();
    graph_file(dir.path());
}
