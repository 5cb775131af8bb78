//! A store survives a kill at any moment: what was finished stays, and going on gives the same graph.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mlk8s_graph::Store;

/// Kills in one life of a store.
const N_KILLS: u32 = 6;
/// Lives.
const N_STORES: u64 = 3;

#[test]
fn a_store_that_was_killed_goes_on_to_the_same_graph() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let begun = Instant::now();
    assert!(start(&whole).0.wait().unwrap().success());
    let takes = begun.elapsed();
    let wanted = Store::open(&whole).unwrap().load().unwrap().fingerprint();
    for seed in 1..=N_STORES {
        let store = dir.path().join(format!("killed-{seed}"));
        let mut random = Random(seed);
        for kill in 0..N_KILLS {
            let before = n_documents(&store);
            kill_after(&store, takes.mul_f64(0.4 * random.share()));
            let after = n_documents(&store);
            assert!(
                after >= before,
                "seed {seed}, kill {kill}: {before} documents, then {after}"
            );
        }
        assert!(start(&store).0.wait().unwrap().success(), "seed {seed}");
        let again = Store::open(&store).unwrap();
        assert_eq!(again.load().unwrap().fingerprint(), wanted, "seed {seed}");
        let n_segments = std::fs::read_dir(store.join("segments")).unwrap().count();
        assert!(
            n_segments <= again.documents().len(),
            "seed {seed}: {n_segments} segments"
        );
    }
}

/// Starts a build; the receiver gets a message for each finished document and hangs up at the end.
fn start(dir: &Path) -> (Child, Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlk8s-build-store"))
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    (child, receiver)
}

/// Builds until the time is over or the build is; whatever it is doing then, it gets no chance to tidy up.
fn kill_after(dir: &Path, wait: Duration) {
    let (mut child, told) = start(dir);
    let over = Instant::now() + wait;
    while told
        .recv_timeout(over.saturating_duration_since(Instant::now()))
        .is_ok()
    {}
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Opens the store as the next session would, loads it, and counts.
fn n_documents(dir: &Path) -> usize {
    let store = Store::open(dir).unwrap();
    assert_eq!(
        store.load().unwrap().stats().documents,
        store.documents().len()
    );
    store.documents().len()
}

/// Knuth's MMIX generator.
struct Random(u64);

impl Random {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}
