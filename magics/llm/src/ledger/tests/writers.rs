//! Several processes write at once, as several kernels do, and may be killed at any time.

use std::process::{Child, Command, Stdio};

use super::*;

const N_WRITERS: i64 = 4;

/// Calls of each writer; a variable may want more.
const N_CALLS: i64 = 25_000;

/// Calls that are under way at once.
const STANDING: i64 = 50;

/// What a writer is told: the number of its calls, its name, and the ledger, by spaces.
const ORDER: &str = "MLK8S_TEST_WRITER";

/// Starts this program again, to write `n_calls` into `place`.
fn start(place: &Place, name: &str, n_calls: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ledger::tests::writers::a_writer_does_what_it_is_told",
        ])
        .env(ORDER, format!("{n_calls} {name} {}", place.target))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Only those that the tests start are told anything.
#[test]
fn a_writer_does_what_it_is_told() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let [n_calls, name, target] = order.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let n_calls: i64 = n_calls.parse().unwrap();
    let mut ledger = Ledger::open(target).unwrap();
    let numbers: Vec<i64> = (0..n_calls).collect();
    for chunk in numbers.chunks(STANDING as usize) {
        let mut rows = Vec::new();
        for &k in chunk {
            // Half of the calls have their run in common with the other writers.
            let run = if k % 2 == 0 { name } else { "all" };
            let row = Row {
                run: run.to_owned(),
                paid_usd: (k % 7) as f64 * 1e-4,
                ..call(k)
            };
            let limits = if k % STANDING == 0 {
                vec![limit(1e6)]
            } else {
                Vec::new()
            };
            ledger.begin(&row, &limits).unwrap();
            rows.push(row);
        }
        let (last, others) = rows.split_last().unwrap();
        ledger.end(last).unwrap();
        ledger.end_all(others).unwrap();
    }
}

#[test]
fn nothing_is_lost_when_many_write() {
    let n_calls = std::env::var("MLK8S_TEST_CALLS").ok();
    let n_calls = n_calls.map_or(N_CALLS, |n| n.parse().unwrap());
    for place in Place::all() {
        // Each opens it, also the first time: that is how several kernels meet.
        let start = |k: i64| start(&place, &format!("writer{k}"), n_calls);
        let writers: Vec<Child> = (0..N_WRITERS).map(start).collect();
        for mut writer in writers {
            assert!(writer.wait().unwrap().success());
        }
        let mut ledger = place.open();
        let runs = ledger.summaries(0, By::Run).unwrap();
        let mut counts: Vec<_> = runs
            .iter()
            .map(|run| (run.key.as_str(), run.calls, run.open))
            .collect();
        counts.sort_unstable();
        let half = n_calls / 2;
        let of_writer = |name| (name, half, 0);
        let expected = [
            ("all", 4 * half, 0),
            of_writer("writer0"),
            of_writer("writer1"),
            of_writer("writer2"),
            of_writer("writer3"),
        ];
        assert_eq!(counts, expected);
        // A hundredth of a cent is what is counted here.
        let expected = N_WRITERS * (0..n_calls).map(|k| k % 7).sum::<i64>();
        let spent = ledger.spent(0, None, None).unwrap();
        assert_eq!(spent.to_string(), (expected as f64 / 1e4).to_string());
        totals::check(&place);
    }
}

#[test]
fn a_writer_that_is_killed_leaves_sums_that_are_right() {
    for place in Place::all() {
        drop(place.open());
        let mut n_rows = 0;
        for round in 1..=4 {
            let name = format!("round{round}");
            let mut writers = [
                start(&place, &name, 1_000_000),
                start(&place, &name, 1_000_000),
            ];
            // At another moment each time, while the other goes on.
            while totals::check(&place).len() < n_rows + 100 * round + 7 {}
            writers[0].kill().unwrap();
            n_rows = totals::check(&place).len();
            writers[1].kill().unwrap();
            for mut writer in writers {
                writer.wait().unwrap();
            }
        }
        // A server may still be doing what it was asked for last.
        place.on_server("BEGIN; LOCK TABLE SCHEMA_NAME.mlk8s_calls IN SHARE MODE; COMMIT");
        let rows = totals::check(&place);
        assert!(rows.iter().any(|row| row.status == Status::Open));
        let mut ledger = place.open();
        for run in [None, Some("round1"), Some("all")] {
            let (spent, plain) = (
                ledger.spent(0, run, None).unwrap(),
                totals::plain_sum(&rows, 0, run, None),
            );
            assert!(
                (spent - plain).abs() < 1e-9,
                "{run:?}: {spent}, not {plain}"
            );
        }
    }
}
