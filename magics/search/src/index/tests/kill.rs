//! A writer that is killed leaves the state before its step or after it, and readers see nothing else meanwhile.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// Tells this test that it is the writer, and where.
const WRITER: &str = "MLK8S_SEARCH_TEST_WRITER";
const PER_STEP: usize = 20;
const DIMS: usize = 16;

/// Writes until it is killed: each step adds items and replaces one; some remove those of an earlier step or compact.
fn write_on(dir: &Path) {
    let mut index = Index::open(dir).unwrap();
    let mut step = index
        .get("last")
        .unwrap()
        .map_or(0, |last| last.text.parse::<usize>().unwrap());
    loop {
        // First, because a kill may have come before it.
        if step.is_multiple_of(2) {
            let old: Vec<String> = (0..PER_STEP).map(|i| format!("{}-{i}", step / 2)).collect();
            let old: Vec<&str> = old.iter().map(String::as_str).collect();
            patiently(|| index.remove(&old));
        }
        step += 1;
        let mut items: Vec<Item> = (0..PER_STEP)
            .map(|i| item(&format!("{step}-{i}"), "some words"))
            .collect();
        items.push(item("last", &step.to_string()));
        let values = random(items.len(), DIMS, step as u64);
        patiently(|| {
            index.add(
                &items,
                Some(Vectors {
                    values: &values,
                    dims: DIMS,
                }),
                &Silent,
            )
        });
        if step.is_multiple_of(5) {
            patiently(|| index.compact(&Silent));
        }
    }
}

/// The test takes the lock now and then to see whether it can.
fn patiently<T>(mut write: impl FnMut() -> Result<T, SearchError>) {
    while let Err(error) = write().map(drop) {
        assert!(matches!(error, SearchError::Busy { .. }), "{error}");
    }
}

/// The last step; panics if any step is there in part, or words and vectors differ.
fn consistent(dir: &Path) -> usize {
    let index = Index::open(dir).unwrap();
    let last = index
        .get("last")
        .unwrap()
        .map_or(0, |last| last.text.parse::<usize>().unwrap());
    let mut n_items = usize::from(last > 0);
    for step in 1..=last + 1 {
        let there = (0..PER_STEP)
            .filter(|i| index.get(&format!("{step}-{i}")).unwrap().is_some())
            .count();
        // Half of the steps are removed; whether the last such removal came about is open.
        let (fewest, most) = match step {
            _ if step > last => (0, 0),
            _ if step * 2 < last => (0, 0),
            _ if step * 2 == last => (0, PER_STEP),
            _ => (PER_STEP, PER_STEP),
        };
        assert!(
            there == fewest || there == most,
            "step {step} of {last}: {there} items"
        );
        n_items += there;
    }
    let held = index.stats();
    assert_eq!((held.n_items, held.n_vectors), (n_items, n_items));
    if last > 0 {
        let values = random(PER_STEP + 1, DIMS, last as u64);
        let query = Query {
            vector: Some(values[..DIMS].to_vec()),
            mode: Mode::Vectors,
            ..Query::default()
        };
        assert_eq!(
            index.search(&query).unwrap().hits[0].item.id,
            format!("{last}-0")
        );
    }
    last
}

fn start_writer(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--nocapture",
            "--exact",
            "index::tests::kill::a_kill_at_any_moment_leaves_a_whole_state",
        ])
        .env(WRITER, dir)
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.join("stderr.log")).unwrap())
        .spawn()
        .unwrap()
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_state() {
    if let Some(dir) = std::env::var_os(WRITER) {
        write_on(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    Index::create(dir.path(), Settings::default()).unwrap();
    let mut rng = fastrand::Rng::with_seed(9);
    let mut steps = 0;
    for _ in 0..8 {
        let mut writer = start_writer(dir.path());
        // The writer is at work when its first step shows, and has the lock most of the time.
        while consistent(dir.path()) == steps {
            let said = fs::read_to_string(dir.path().join("stderr.log")).unwrap();
            assert!(
                writer.try_wait().unwrap().is_none(),
                "the writer fell over: {said}"
            );
        }
        for _ in 0..rng.usize(..12) {
            consistent(dir.path());
        }
        let pid = writer.id();
        if let Err(error) = Index::open(dir.path()).unwrap().remove(&["nothing"]) {
            assert!(
                matches!(error, SearchError::Busy { holder: Some(holder), .. } if holder == pid),
                "{error}"
            );
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let after = consistent(dir.path());
        Index::open(dir.path()).unwrap().verify().unwrap();
        assert!(after > steps);
        steps = after;
    }
    let mut index = Index::open(dir.path()).unwrap();
    index.compact(&Silent).unwrap();
    assert_eq!(consistent(dir.path()), steps);
    let n_files = fs::read_dir(dir.path().join("vectors")).unwrap().count();
    assert_eq!(n_files, 1, "leftovers were swept away");
}
