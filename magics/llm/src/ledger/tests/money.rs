//! Budgets and sums, also when several kernels write at once.

use std::sync::Barrier;

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[test]
fn two_kernels_cannot_have_the_last_dollar() {
    for place in Place::all() {
        let barrier = Barrier::new(8);
        let results: Vec<_> = std::thread::scope(|scope| {
            let race = |k| {
                let (place, barrier) = (&place, &barrier);
                scope.spawn(move || {
                    let ledger = Ledger::open(&place.target);
                    let row = Row {
                        reserved_usd: 1.0,
                        ..call(k)
                    };
                    barrier.wait();
                    ledger?.begin(&row, &[limit(100.0), limit(5.0)])
                })
            };
            let writers: Vec<_> = (0..8).map(race).collect();
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
        let error = results.into_iter().find_map(Result::err).unwrap();
        assert_eq!(
            error.to_string(),
            "the budget `day` of $5.00 would be passed: $5.0000 are spent or set aside, this call may cost $1.0000"
        );
        assert_eq!(place.open().rows(&Filter::default()).unwrap().len(), 5);
    }
}

#[test]
fn a_budget_counts_what_it_is_for() {
    for place in Place::all() {
        let mut ledger = place.open();
        let paid = Row {
            reserved_usd: 9.0,
            paid_usd: 0.1,
            ..call(1)
        };
        ledger.end(&paid).unwrap();
        let mut check = |wanted: f64, limit: Limit, expected: bool| {
            let row = Row {
                reserved_usd: wanted,
                ..call(1)
            };
            let begun = ledger.begin(&row, std::slice::from_ref(&limit));
            assert_eq!(begun.is_ok(), expected, "{wanted} {limit:?} {begun:?}");
            ledger
                .end(&Row {
                    paid_usd: 0.0,
                    ..row
                })
                .unwrap();
        };
        // 0.1 + 0.2 is more than 0.3 in binary fractions.
        check(0.2, limit(0.3), true);
        check(0.201, limit(0.3), false);
        check(f64::NAN, limit(0.3), false);
        check(f64::INFINITY, limit(0.3), false);
        check(
            0.3,
            Limit {
                since_ms: paid.at + 1,
                ..limit(0.3)
            },
            true,
        );
        check(
            0.3,
            Limit {
                run: Some("other".to_owned()),
                ..limit(0.3)
            },
            true,
        );
        check(
            0.3,
            Limit {
                user: Some("other".to_owned()),
                ..limit(0.3)
            },
            true,
        );
        let exact = Limit {
            run: Some(paid.run),
            user: Some(paid.user),
            ..limit(0.3)
        };
        check(0.3, exact, false);
    }
}

#[test]
fn an_open_call_counts_until_it_is_forgotten() {
    for place in Place::all() {
        let row = Row {
            reserved_usd: 2.0,
            ..call(1)
        };
        let mut ledger = place.open();
        ledger.begin(&row, &[]).unwrap();
        // Its kernel dies here.
        drop(ledger);
        let mut ledger = place.open();
        let spent = |ledger: &mut Ledger| ledger.spent(0, Some("run1"), Some("user1")).unwrap();
        assert!((spent(&mut ledger) - 2.0).abs() < 1e-9);
        assert!(ledger.begin(&call(2), &[limit(2.0)]).is_err());
        assert_eq!(ledger.summaries(0, By::Run).unwrap()[0].open, 1);
        let forgotten = Row {
            at: now() - DAY_MS - 1000,
            reserved_usd: 7.0,
            ..call(1)
        };
        ledger.begin(&forgotten, &[]).unwrap();
        assert!((spent(&mut ledger) - 2.0).abs() < 1e-9);
        ledger
            .end(&Row {
                status: Status::Stopped,
                ..row
            })
            .unwrap();
        assert!((spent(&mut ledger) - 0.01).abs() < 1e-9);
    }
}

#[test]
fn sums_are_exact_and_the_same_everywhere() {
    let mut found = Vec::new();
    for place in Place::all() {
        let mut ledger = place.open();
        let sizes = [0.0001, 0.0373, 1.9, 0.062, 0.0006];
        let mut sum = 0;
        for k in 0..1000 {
            let status =
                [Status::Done, Status::Done, Status::Cached, Status::Failed][k as usize % 4];
            let paid_usd = sizes[k as usize % 5];
            sum += (paid_usd * 10_000_f64).round() as i64;
            let prompt_tokens = if k % 10 == 0 { 0 } else { 11 * k };
            let completion_tokens = prompt_tokens / 2;
            // 23:59:59.999 is another day than the next millisecond.
            let at = 1_686_787_199_999 + (k % 3) * (DAY_MS / 2) + k % 2;
            let row = Row {
                at,
                status,
                prompt_tokens,
                completion_tokens,
                paid_usd,
                ..call(k)
            };
            ledger.end(&row).unwrap();
        }
        let paid_usd = (5_240_373 - sum) as f64 / 10_000.0;
        ledger
            .end(&Row {
                at: 1_686_787_200_000,
                paid_usd,
                ..call(0)
            })
            .unwrap();
        assert_eq!(
            format!("{:.4}", ledger.spent(0, None, None).unwrap()),
            "524.0373"
        );
        let all = [
            By::Model,
            By::Day,
            By::Run,
            By::Cell,
            By::User,
            By::Endpoint,
        ];
        let mut summed = all.map(|by| ledger.summaries(1, by).unwrap());
        for summary in summed.iter_mut().flatten() {
            summary.paid_usd = (summary.paid_usd * 1e9).round() / 1e9;
        }
        found.push(summed);
    }
    let [models, days, runs, cells, ..] = &found[0];
    let keys = |summed: &[Summary]| summed.iter().map(|one| one.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(models), ["Model/B", "Model/a", "Model/ä"]);
    assert_eq!(keys(days), ["2023-06-14", "2023-06-15", "2023-06-16"]);
    assert_eq!(runs.len(), 5);
    assert_eq!(
        cells.iter().filter(|one| one.key == "00000001 10").count(),
        1
    );
    assert_eq!(days.iter().map(|day| day.calls).sum::<i64>(), 1001);
    assert_eq!(days.iter().map(|day| day.failed).sum::<i64>(), 250);
    assert_eq!(days.iter().map(|day| day.cached).sum::<i64>(), 250);
    assert_eq!(days.iter().map(|day| day.unmetered).sum::<i64>(), 50);
    assert_eq!(
        format!("{:.4}", models.iter().map(|one| one.paid_usd).sum::<f64>()),
        "524.0373"
    );
    assert!(found.iter().all(|one| *one == found[0]), "{found:#?}");
}
