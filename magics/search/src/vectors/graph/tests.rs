//! What a graph promises: near the truth, the same for any threads, and never more than what is there.

use std::path::PathBuf;

use super::*;
use crate::index::tests::random;
use crate::vectors::{Scan, nearest, write};
use crate::watch::Silent;

const DIMS: usize = 48;

/// Unit vectors around 100 centres; the i-th is the same however many there are.
fn clustered(n: usize) -> Vec<f32> {
    let centres = random(100, DIMS, 1);
    let mut values = random(n, DIMS, 2);
    for (i, row) in values.chunks_exact_mut(DIMS).enumerate() {
        let centre = &centres[i * 7 % 100 * DIMS..][..DIMS];
        row.iter_mut().zip(centre).for_each(|(v, c)| *v += c);
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        for v in row {
            *v /= length;
        }
    }
    values
}

/// A file with those of `values` that `rows` names.
fn segment(dir: &Path, name: &str, values: &[f32], rows: &[u32]) -> Segment {
    let path = dir.join(name);
    let fill = |i: usize, out: &mut [f32]| {
        out.copy_from_slice(&values[rows[i] as usize * DIMS..][..DIMS]);
    };
    write(&path, DIMS, rows, &fill).unwrap();
    Segment::open(&path).unwrap()
}

fn make(dir: &Path, name: &str, segment: &Segment, older: Option<(&Graph, &Segment)>) -> Graph {
    let path = dir.join(name);
    Graph::make(&path, segment, older, &Silent).unwrap();
    Graph::open(&path, segment).unwrap()
}

fn all(n: usize) -> Bits {
    let mut mask = Bits::none(n);
    (0..n as u32).for_each(|row| mask.set(row));
    mask
}

/// Share of the ten true neighbours that are found, over queries that are not in the file.
fn recall(graph: &Graph, segment: &Segment, mask: &Bits, queries: &[f32]) -> f64 {
    let segments = std::slice::from_ref(segment);
    let (mut found, mut n) = (0, 0);
    for query in queries.chunks_exact(DIMS) {
        let probe = Probe::new(query);
        let truth = nearest(segments, &probe, mask, 10, Scan::Values);
        let near = graph.nearest(segment, &probe, mask, 10).unwrap();
        assert!(near.is_sorted_by(|a, b| a.order(b).is_lt()), "{near:?}");
        assert!(near.iter().all(|scored| mask.get(scored.row)));
        // What is found is scored by its values, as when all are looked at.
        found += near.iter().filter(|&scored| truth.contains(scored)).count();
        n += truth.len();
    }
    found as f64 / n as f64
}

#[test]
fn nearly_all_neighbours_are_found_and_the_share_is_stated() {
    let dir = tempfile::tempdir().unwrap();
    let n = 20_000;
    let values = clustered(n + 100);
    let rows: Vec<u32> = (0..n as u32).collect();
    let segment = segment(dir.path(), "a.vec", &values, &rows);
    let graph = make(dir.path(), "a.hnsw", &segment, None);
    graph.verify().unwrap();
    let measured = recall(&graph, &segment, &all(n), &values[n * DIMS..]);
    assert!(measured >= 0.95, "{measured}");
    let stated = graph.recall();
    assert_eq!((stated.n_queries, stated.at), (200, 10));
    assert!(
        (stated.share() - measured).abs() < 0.04,
        "{stated} {measured}"
    );

    // Filters: most of all, and a few, which are better looked at one by one.
    let mut most = Bits::none(n);
    (0..n as u32)
        .filter(|row| row % 10 != 3)
        .for_each(|row| most.set(row));
    let measured = recall(&graph, &segment, &most, &values[n * DIMS..]);
    assert!(measured >= 0.95, "{measured}");
    let mut few = Bits::none(n);
    (0..n as u32).step_by(500).for_each(|row| few.set(row));
    let probe = Probe::new(&values[n * DIMS..][..DIMS]);
    for mask in [few, Bits::none(n)] {
        let found = graph.nearest(&segment, &probe, &mask, 10);
        assert_eq!(found, Err(Lost::Tired));
    }
}

#[test]
fn the_same_vectors_give_the_same_file_on_any_threads() {
    let dir = tempfile::tempdir().unwrap();
    let values = clustered(9000);
    let rows: Vec<u32> = (0..6000).map(|i| 3 * i / 2).collect();
    let segment = segment(dir.path(), "a.vec", &values, &rows);
    let with = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n);
        let path = dir.path().join(format!("{n}.hnsw"));
        let make = || Graph::make(&path, &segment, None, &Silent).unwrap();
        pool.build().unwrap().install(make);
        std::fs::read(&path).unwrap()
    };
    let one = with(1);
    assert_eq!(
        one.len(),
        file::n_bytes(segment.len(), &members(segment.rows()))
    );
    assert!(one == with(2) && one == with(5));
}

#[test]
fn a_graph_grows_and_shrinks_with_its_vectors() {
    let dir = tempfile::tempdir().unwrap();
    let values = clustered(12_100);
    let queries = &values[12_000 * DIMS..];
    let rows: Vec<u32> = (0..8000).collect();
    let first = segment(dir.path(), "1.vec", &values, &rows);
    let graph = make(dir.path(), "1.hnsw", &first, None);
    // Every tenth goes, 4,000 come.
    let rows: Vec<u32> = (0..12_000).filter(|row| row % 10 != 3).collect();
    let second = segment(dir.path(), "2.vec", &values, &rows);
    let grown = make(dir.path(), "2.hnsw", &second, Some((&graph, &first)));
    assert_eq!(grown.head.n_gone, 800);
    let share = recall(&grown, &second, &all(12_000), queries);
    assert!(share >= 0.95, "{share}");
    let misses = rows.iter().filter(|&&row| {
        let probe = Probe::new(&values[row as usize * DIMS..][..DIMS]);
        let near = grown.nearest(&second, &probe, &all(12_000), 1).unwrap();
        near.first().map(|scored| scored.row) != Some(row)
    });
    let misses = misses.count();
    assert!(misses * 1000 < rows.len() * 5, "{misses} of {}", rows.len());

    // Too many went: it is made anew, as if there had been none.
    let rows: Vec<u32> = (0..12_000).filter(|row| row % 2 == 0).collect();
    let third = segment(dir.path(), "3.vec", &values, &rows);
    let anew = make(dir.path(), "3.hnsw", &third, Some((&grown, &second)));
    assert_eq!(anew.head.n_gone, 0);
    make(dir.path(), "4.hnsw", &third, None);
    let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(bytes("3.hnsw") == bytes("4.hnsw"));
}

#[test]
fn damage_is_seen_before_it_does_harm() {
    let dir = tempfile::tempdir().unwrap();
    let values = clustered(9000);
    let rows: Vec<u32> = (0..9000).collect();
    let segment = segment(dir.path(), "a.vec", &values, &rows);
    let graph = make(dir.path(), "a.hnsw", &segment, None);
    let whole = std::fs::read(&graph.path).unwrap();
    let path: PathBuf = dir.path().join("b.hnsw");
    let open = |bytes: &[u8]| {
        // A file that is mapped must not change.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        Graph::open(&path, &segment)
    };
    for bytes in [&whole[..whole.len() - 1], &whole[..100], &[]] {
        assert!(matches!(open(bytes), Err(SearchError::Damaged { .. })));
    }
    let probe = Probe::new(&values[..DIMS]);
    let truth = graph.nearest(&segment, &probe, &all(9000), 10).unwrap();
    let mut rng = fastrand::Rng::with_seed(3);
    let mut n_seen = 0;
    for round in 0..60 {
        let mut bytes = whole.clone();
        // One byte of the header, or a thousand of the lists.
        let range = if round < 20 { 0..56 } else { 128..whole.len() };
        for _ in 0..if round < 20 { 1 } else { 1000 } {
            bytes[rng.usize(range.clone())] ^= rng.u8(1..);
        }
        let Ok(graph) = open(&bytes) else {
            continue;
        };
        assert!(round >= 20, "the header is checked when it is opened");
        assert!(graph.verify().is_err());
        match graph.nearest(&segment, &probe, &all(9000), 10) {
            Ok(found) => assert_eq!(found, truth),
            Err(lost) => {
                assert_eq!(lost, Lost::Broken);
                n_seen += 1;
            }
        }
        // It is not built upon either.
        assert!(graph.worth(&segment, &segment, &graph.members).is_none());
    }
    assert!(n_seen > 20, "{n_seen}");
}

#[test]
fn a_graph_of_other_vectors_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let values = clustered(5001);
    let rows: Vec<u32> = (0..5000).collect();
    let one = segment(dir.path(), "a.vec", &values, &rows);
    let graph = make(dir.path(), "a.hnsw", &one, None);
    let rows: Vec<u32> = (1..5001).collect();
    let other = segment(dir.path(), "b.vec", &values, &rows);
    let error = Graph::open(&graph.path, &other).unwrap_err();
    assert!(error.to_string().contains("other vectors"), "{error}");
}

#[test]
fn a_stop_leaves_nothing() {
    struct Stop;
    impl Watch for Stop {
        fn stopped(&self) -> bool {
            true
        }
        fn step(&self, _: usize, _: usize, _: &str) {}
    }
    let dir = tempfile::tempdir().unwrap();
    let values = clustered(5000);
    let rows: Vec<u32> = (0..5000).collect();
    let segment = segment(dir.path(), "a.vec", &values, &rows);
    let path = dir.path().join("a.hnsw");
    let stopped = Graph::make(&path, &segment, None, &Stop);
    assert!(matches!(stopped, Err(SearchError::Stopped)));
    assert!(!path.exists());
}
