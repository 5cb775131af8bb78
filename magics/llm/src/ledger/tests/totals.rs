//! The totals that the database keeps, held against the calls themselves.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::super::store::Dialect;
use super::*;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Totals by table, span or run, its begin, and user.
type Totals = BTreeMap<(String, i64, String), (i64, i64)>;

/// What the database keeps, without the nothings that remain of what was taken away.
fn kept(store: &mut dyn Store) -> Totals {
    let sql = "SELECT CAST(span_ms AS TEXT), start_ms, user_id, micros, picos FROM mlk8s_sums
        UNION ALL SELECT 'of ' || run, start_ms, user_id, micros, picos FROM mlk8s_run_sums";
    let mut totals = Totals::new();
    for row in store.query(sql, &[]).unwrap() {
        let [name, start, user, micros, picos] = <[Value; 5]>::try_from(row).unwrap();
        if (micros.int(), picos.int()) != (0, 0) {
            let sum = (micros.int(), picos.int());
            totals.insert((name.text(), start.int(), user.text()), sum);
        }
    }
    totals
}

/// What it should keep.
fn summed(rows: &[Row]) -> Totals {
    let mut totals = Totals::new();
    for row in rows.iter().filter(|row| row.status != Status::Open) {
        let pico = (row.paid_usd.clamp(-1e6, 1e6) * 1e12).round() as i64;
        let mut add = |name: String, span: i64| {
            let key = (name, row.at.div_euclid(span) * span, row.user.clone());
            let sum = totals.entry(key).or_default();
            *sum = (sum.0 + pico / 1_000_000, sum.1 + pico % 1_000_000);
        };
        for span in [60_000, HOUR_MS, 24 * HOUR_MS] {
            add(span.to_string(), span);
        }
        add(format!("of {}", row.run), HOUR_MS);
    }
    totals.retain(|_, sum| *sum != (0, 0));
    totals
}

/// Holds the totals against the calls, also while others write; all the calls.
pub(super) fn check(place: &Place) -> Vec<Row> {
    let mut store = place.store();
    store
        .script(match store.dialect() {
            Dialect::Sqlite => "BEGIN",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        })
        .unwrap();
    let (sql, values) = schema::selection(&Filter::default());
    let rows = store.query(&sql, &values).unwrap();
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|row| schema::row(row).unwrap())
        .collect();
    assert_eq!(kept(&mut *store), summed(&rows));
    rows
}

pub(super) fn plain_sum(rows: &[Row], since_ms: i64, run: Option<&str>, user: Option<&str>) -> f64 {
    let forgotten = now() - FORGOTTEN_MS;
    let is_wanted = |row: &&Row| {
        row.at >= since_ms
            && run.is_none_or(|run| run == row.run)
            && user.is_none_or(|user| user == row.user)
    };
    let counted = |row: &Row| match row.status {
        Status::Open if row.at > forgotten => row.reserved_usd,
        Status::Open => 0.0,
        _ => row.paid_usd,
    };
    rows.iter().filter(is_wanted).map(counted).sum()
}

/// A call at a time around which spans begin, of a price as they come.
fn random_call(random: &mut Rng, k: i64) -> Row {
    let spans = [1, 60_000, HOUR_MS, 24 * HOUR_MS];
    let span = spans[random.usize(..4)];
    let back = random.i64(0..40 * 24 * HOUR_MS);
    let mut at = (now() - back) / span * span + random.i64(-1..=1);
    if random.u8(..20) == 0 {
        at = random.i64(-3 * HOUR_MS..3 * HOUR_MS);
    }
    let tokens = f64::from(random.u32(..5000));
    let paid_usd = [
        tokens * 0.15e-6,
        tokens * 1.1e-5,
        0.0,
        1234.5,
        0.012_345_678_9,
    ][random.usize(..5)];
    let all = [
        Status::Done,
        Status::Failed,
        Status::Stopped,
        Status::Cached,
    ];
    Row {
        at,
        status: all[random.usize(..4)],
        run: ["", "run1", "run2"][random.usize(..3)].to_owned(),
        reserved_usd: 2.0 * paid_usd,
        paid_usd,
        ..call(k)
    }
}

/// Does one thing to a ledger, through it or past it.
fn change(
    random: &mut Rng,
    ledger: &mut Ledger,
    store: &mut dyn Store,
    ids: &mut Vec<Row>,
    k: i64,
) {
    let fresh = random_call(random, k);
    let old = random
        .choice(&*ids)
        .cloned()
        .unwrap_or_else(|| fresh.clone());
    let id = [Value::from(old.id.as_str())];
    match random.u8(..12) {
        0..=3 => {
            ledger.begin(&fresh, &[limit(1e9)]).unwrap();
            ids.push(fresh);
        }
        4..=6 => ledger.end(&old).unwrap(),
        // Whatever has changed, its time, run and user, too.
        7 => ledger
            .end(&Row {
                id: old.id,
                ..fresh
            })
            .unwrap(),
        8 => drop(
            store
                .run("DELETE FROM mlk8s_calls WHERE id = $1", &id)
                .unwrap(),
        ),
        9 => {
            let redact = "UPDATE mlk8s_calls SET request = '', response = '' WHERE id = $1";
            store.run(redact, &id).unwrap();
            ledger.mark(&old.id, 3, "").unwrap();
        }
        10 => {
            let sql = "UPDATE mlk8s_calls SET paid_usd = paid_usd * 2, run = 'run2', at = at - 1000 WHERE id = $1";
            store.run(sql, &id).unwrap();
        }
        _ => {
            // As an import does it: what is there stays as it is.
            for row in [&old, &fresh] {
                let values = schema::values(row, row.status);
                store.run(schema::insert_new(), &values).unwrap();
            }
            ids.push(fresh);
        }
    }
}

#[test]
fn totals_are_what_the_calls_add_up_to() {
    for place in Place::all() {
        let (mut ledger, mut store) = (place.open(), place.store());
        for seed in 0..20 {
            let random = &mut Rng::with_seed(seed);
            let mut ids = Vec::new();
            for k in 0..60 {
                change(random, &mut ledger, &mut *store, &mut ids, k);
            }
            let rows = ledger.rows(&Filter::default()).unwrap();
            assert_eq!(kept(&mut *store), summed(&rows), "seed {seed}");
            for _ in 0..40 {
                let at = random.choice(&rows).map_or(0, |row| row.at) + random.i64(-1..=1);
                let since = [at, at / HOUR_MS * HOUR_MS, 0, i64::MIN, i64::MAX][random.usize(..5)];
                let run = [None, Some(""), Some("run2")][random.usize(..3)];
                let user = [None, None, Some("user1")][random.usize(..3)];
                let spent = ledger.spent(since, run, user).unwrap();
                let plain = plain_sum(&rows, since, run, user);
                assert!(
                    (spent - plain).abs() < 1e-9 * plain.abs().max(1.0),
                    "{seed} {since} {run:?} {user:?}: {spent}, not {plain}"
                );
            }
        }
        store.script("DELETE FROM mlk8s_calls").unwrap();
        assert_eq!(kept(&mut *store), Totals::new());
    }
}

#[test]
fn what_no_call_costs_does_no_harm() {
    let spent = |ledger: &mut Ledger| ledger.spent(0, None, None).unwrap().to_string();
    for place in Place::all() {
        let mut ledger = place.open();
        let mut check = |paid_usd: f64, expected: f64| {
            let row = Row {
                paid_usd,
                ..call(1)
            };
            ledger.end(&row).unwrap();
            assert_eq!(spent(&mut ledger), expected.to_string());
            ledger
                .end(&Row {
                    paid_usd: 0.0,
                    ..row
                })
                .unwrap();
            assert_eq!(spent(&mut ledger), "0");
        };
        check(f64::INFINITY, 1e6);
        check(-3e7, -1e6);
        check(f64::NAN, 0.0);
        check(1e-12, 1e-12);
        check(524.0373, 524.0373);
        for k in 0..10 {
            let row = Row {
                paid_usd: 1e6,
                ..call(k)
            };
            ledger.end(&row).unwrap();
        }
        assert_eq!(spent(&mut ledger), "10000000");
    }
}

#[test]
fn an_old_ledger_gets_its_totals_when_it_is_opened() {
    for place in Place::all() {
        let mut store = place.store();
        let version = "CREATE TABLE mlk8s_ledger (version BIGINT NOT NULL); INSERT INTO mlk8s_ledger VALUES (2)";
        store.script(version).unwrap();
        for migration in &schema::MIGRATIONS[..2] {
            let sql = migration(store.dialect());
            store.script(&sql).unwrap();
        }
        let random = &mut Rng::with_seed(7);
        let mut write = |k| {
            let row = random_call(random, k);
            store
                .run(schema::upsert(), &schema::values(&row, row.status))
                .unwrap();
        };
        (0..200).for_each(&mut write);
        drop(place.open());
        check(&place);
        // A kernel of the older version that has it open goes on.
        (0..50).for_each(&mut write);
        check(&place);
    }
}
