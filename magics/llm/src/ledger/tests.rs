//! The ledger as its users see it, on a file always, and on a server where there can be one.

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::row::Class;

mod log;
mod money;
mod server;
mod tls;
mod totals;
mod writers;

/// An empty database.
struct Place {
    target: String,
    /// Holds the file, or nothing.
    _dir: TempDir,
    /// The server, and the schema there that is ours.
    server: Option<(String, String)>,
}

impl Place {
    fn file() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let target = dir
            .path()
            .join("folder/ledger.sqlite")
            .display()
            .to_string();
        Place {
            target,
            _dir: dir,
            server: None,
        }
    }

    fn server() -> Option<Place> {
        let url = server::shared()?;
        let schema = format!("test_{}", Uuid::now_v7().simple());
        let joint = if url.contains('?') { '&' } else { '?' };
        let target = format!("{url}{joint}options=-csearch_path%3D{schema}");
        let place = Place {
            target,
            _dir: tempfile::tempdir().unwrap(),
            server: Some((url, schema)),
        };
        place.on_server("CREATE SCHEMA SCHEMA_NAME");
        Some(place)
    }

    fn all() -> Vec<Place> {
        std::iter::once(Place::file())
            .chain(Place::server())
            .collect()
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.target).unwrap()
    }

    fn on_server(&self, statement: &str) {
        if let Some((url, schema)) = &self.server {
            let mut client = ::postgres::Client::connect(url, ::postgres::NoTls).unwrap();
            client
                .batch_execute(&statement.replace("SCHEMA_NAME", schema))
                .unwrap();
        }
    }

    /// A connection past the ledger.
    fn store(&self) -> Box<dyn Store> {
        match self.server {
            Some(_) => Box::new(postgres::Postgres::open(&self.target).unwrap()),
            None => Box::new(sqlite::Sqlite::create(Path::new(&self.target)).unwrap()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.on_server("SET client_min_messages = error; DROP SCHEMA SCHEMA_NAME CASCADE");
    }
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A call of a cent that is answered, number `k` of its test.
fn call(k: i64) -> Row {
    Row {
        id: Uuid::now_v7().to_string(),
        at: now(),
        user: format!("user{}", k % 3),
        session: format!("{:08x}-0000-4000-8000-000000000000", k % 2),
        cell: k % 11,
        run: format!("run{}", k % 5),
        endpoint: "llama-api".to_owned(),
        model: format!("Model/{}", ["a", "B", "ä"][k as usize % 3]),
        kind: "chat".to_owned(),
        request: r#"{"model":"a"}"#.to_owned(),
        status: Status::Done,
        attempt: 1,
        total_ms: 1500,
        prompt_tokens: 10,
        completion_tokens: 5,
        reserved_usd: 0.02,
        paid_usd: 0.01,
        ..Row::default()
    }
}

fn limit(usd: f64) -> Limit {
    Limit {
        name: "day".to_owned(),
        usd,
        ..Limit::default()
    }
}

#[test]
fn a_ledger_may_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Ledger>();
}

#[test]
fn what_is_written_is_read() {
    for place in Place::all() {
        let mut ledger = place.open();
        let mut whole = Row {
            class: Class::Batch,
            status: Status::Failed,
            error: "it's \"broken\": $1 ?2".to_owned(),
            chunk: "2007.02871 §3".to_owned(),
            finish_reason: "length".to_owned(),
            counted_by: "cl100k_base".to_owned(),
            price_list: "2026-05-01".to_owned(),
            response: "{\"text\":\"\\u0000 ✓\"}".to_owned(),
            attempt: 2,
            queue_ms: 3,
            first_ms: 4,
            cached_tokens: 6,
            max_tokens: 7,
            score: 5,
            comment: "good\nindeed".to_owned(),
            ..call(1)
        };
        ledger.begin(&whole, &[]).unwrap();
        let all = Filter::default();
        let open = Row {
            status: Status::Open,
            ..whole.clone()
        };
        assert_eq!(ledger.rows(&all).unwrap(), [open]);
        ledger.end(&whole).unwrap();
        assert_eq!(ledger.rows(&all).unwrap(), [whole.clone()]);
        assert!(ledger.mark(&whole.id, 2, "well, no").unwrap());
        assert!(!ledger.mark("none", 2, "").unwrap());
        (whole.score, whole.comment) = (2, "well, no".to_owned());
        drop(ledger);
        assert_eq!(place.open().rows(&all).unwrap(), [whole.clone()]);
        // A zero byte is more than PostgreSQL can hold.
        place
            .open()
            .end(&Row {
                error: "a\0b".to_owned(),
                ..whole
            })
            .unwrap();
    }
}

#[test]
fn rows_are_found() {
    for place in Place::all() {
        let mut ledger = place.open();
        for k in 0..20 {
            ledger
                .end(&Row {
                    at: k,
                    cell: k,
                    ..call(k)
                })
                .unwrap();
        }
        let mut check = |change: fn(&mut Filter), expected: &[i64]| {
            let mut filter = Filter::default();
            change(&mut filter);
            let found = ledger.rows(&filter).unwrap();
            let found: Vec<i64> = found.iter().map(|row| row.cell).collect();
            assert_eq!(found, expected, "{filter:?}");
        };
        check(|all| all.since_ms = Some(17), &[17, 18, 19]);
        check(|all| all.until_ms = Some(2), &[0, 1]);
        check(|all| all.run = Some("run2".to_owned()), &[2, 7, 12, 17]);
        let of_model = |all: &mut Filter| {
            (all.model, all.until_ms) = (Some("Model/ä".to_owned()), Some(9));
        };
        check(of_model, &[2, 5, 8]);
        let of_user = |all: &mut Filter| {
            (all.user, all.run) = (Some("user0".to_owned()), Some("run0".to_owned()));
        };
        check(of_user, &[0, 15]);
        let of_session = |all: &mut Filter| {
            (all.session, all.until_ms) = (Some(call(1).session), Some(4));
        };
        check(of_session, &[1, 3]);
        check(|all| all.limit = Some(2), &[0, 1]);
        check(
            |all| (all.limit, all.newest_first) = (Some(2), true),
            &[19, 18],
        );
    }
}

#[test]
fn a_place_that_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(
        &text,
        "This is no database, however long one reads in it.".repeat(99),
    )
    .unwrap();
    let below = text.join("ledger.sqlite").display().to_string();
    let folder = dir.path().display().to_string();
    let text = text.display().to_string();
    for target in ["/proc/none/ledger.sqlite", &folder, &text, &below] {
        let error = Ledger::open(target).unwrap_err();
        assert!(
            matches!(error, LedgerError::Unusable { .. }),
            "{target}: {error:?}"
        );
        assert!(
            error.to_string().contains(target) && !error.hint().is_empty(),
            "{error}"
        );
    }
    // Nobody listens on port 1.
    let error = Ledger::open("postgres://me:geheim@127.0.0.1:1/log").unwrap_err();
    let said = format!("{error} {error:?} {}", error.hint());
    assert!(
        matches!(error, LedgerError::Unreachable { .. }) && !said.contains("geheim"),
        "{said}"
    );
}

#[test]
fn a_newer_ledger_is_left_alone() {
    for place in Place::all() {
        drop(place.open());
        place
            .store()
            .script("UPDATE mlk8s_ledger SET version = 99")
            .unwrap();
        let error = Ledger::open(&place.target).unwrap_err();
        assert!(
            matches!(
                error,
                LedgerError::Newer {
                    version: 99,
                    known: 4,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn an_older_ledger_is_brought_up_to_date() {
    for place in Place::all() {
        let mut store = place.store();
        let version = "CREATE TABLE mlk8s_ledger (version BIGINT NOT NULL); INSERT INTO mlk8s_ledger VALUES (1)";
        store.script(version).unwrap();
        let first = schema::MIGRATIONS[0](store.dialect());
        store.script(&first).unwrap();
        let mut ledger = place.open();
        ledger.end(&call(1)).unwrap();
        assert_eq!(ledger.summaries(0, By::Model).unwrap().len(), 1);
        let found = store
            .query("SELECT version FROM mlk8s_ledger", &[])
            .unwrap();
        assert_eq!(found, [[Value::Int(schema::latest())]]);
    }
}

#[test]
fn a_broken_connection_is_made_again() {
    // There is nothing to break without a server.
    let Some(place) = Place::server() else { return };
    let mut ledger = place.open();
    ledger.begin(&call(1), &[limit(1.0)]).unwrap();
    let kill =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
        AND query LIKE '%COMMIT%' AND datname = current_database() AND state = 'idle'";
    place.on_server(kill);
    ledger.begin(&call(2), &[limit(1.0)]).unwrap();
    assert_eq!(ledger.rows(&Filter::default()).unwrap().len(), 2);
    assert!(!format!("{ledger:?}").contains("search_path"));
}
