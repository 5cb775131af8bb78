//! Import and export of the original log.

use super::super::ImportReport;
use super::*;

/// The table as the original system made it.
const ORIGINAL: &str = "CREATE TABLE llm_inference_log (id INTEGER PRIMARY KEY,
    user_id VARCHAR(80) NOT NULL DEFAULT '007', datetime_captured TIMESTAMPTZ, model_id VARCHAR(36),
    request JSON, response JSON, inference_time INTEGER, entities JSON, score INTEGER)";

const ROWS: &str = r#"INSERT INTO llm_inference_log VALUES
    (1, '007', '2023-06-14 23:59:59.5+00:00', 'tiiuae/falcon-7b-instruct', '{"model": "tiiuae/falcon-7b-instruct",
        "prompt": "Q", "max_tokens": 64}', '{"choices": [{"text": "A", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 24}}', 12, NULL, NULL),
    (2, 'ana', '2023-06-15 02:00:00+02', 'deepseek-ai/deepseek-coder-6.7b-inst',
        '{"model": "deepseek-ai/deepseek-coder-6.7b-instruct", "messages": []}',
        '{"usage": {"prompt_tokens": 0, "completion_tokens": 0}}', 0, NULL, 4),
    (7, '007', '2023-06-15 00:00:00.25+00:00', 'gpt2', '{}', '"{\"usage\": {\"prompt_tokens\": 3}}"', NULL, '[]', NULL),
    (8, '007', NULL, 'gpt2', NULL, NULL, NULL, NULL, NULL)"#;

/// Two databases, of each two kinds.
fn pairs() -> Vec<(Place, Place)> {
    let n_kinds = Place::all().len();
    let kinds = (0..n_kinds).flat_map(|a| (0..n_kinds).map(move |b| (a, b)));
    kinds
        .map(|(a, b)| (Place::all().swap_remove(a), Place::all().swap_remove(b)))
        .collect()
}

#[test]
fn the_original_log_is_read_once() {
    for (source, place) in pairs() {
        let mut store = source.store();
        store.script(ORIGINAL).unwrap();
        store.script(ROWS).unwrap();
        let mut ledger = place.open();
        let report = ledger.import_log(&source.target).unwrap();
        assert_eq!(
            report,
            ImportReport {
                imported: 3,
                skipped: 0,
                undated: 1
            }
        );
        let report = ledger.import_log(&source.target).unwrap();
        assert_eq!(
            report,
            ImportReport {
                imported: 0,
                skipped: 3,
                undated: 1
            }
        );
        let rows = ledger.rows(&Filter::default()).unwrap();
        let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
        assert_eq!(
            times,
            [1_686_787_199_500, 1_686_787_200_000, 1_686_787_200_250]
        );
        let [falcon, coder, gpt] = rows.as_slice() else {
            unreachable!()
        };
        assert_eq!(
            (
                falcon.total_ms,
                falcon.prompt_tokens,
                falcon.completion_tokens
            ),
            (12_000, 40, 24)
        );
        assert_eq!(
            (falcon.kind.as_str(), falcon.max_tokens, falcon.score),
            ("completion", 64, 0)
        );
        assert_eq!(falcon.finish_reason, "stop");
        assert_eq!(coder.model, "deepseek-ai/deepseek-coder-6.7b-instruct");
        assert_eq!(
            (coder.kind.as_str(), coder.user.as_str(), coder.score),
            ("chat", "ana", 4)
        );
        assert_eq!(gpt.prompt_tokens, 3);
        let days = ledger.summaries(0, By::Day).unwrap();
        assert_eq!(
            days.iter().map(|day| day.unmetered).collect::<Vec<_>>(),
            [0, 1]
        );
        // What came from there does not go there again.
        assert_eq!(ledger.export_log(&source.target, 0).unwrap(), 0);
    }
}

/// Three calls that were answered, and others, which are not exported.
fn calls(at: i64) -> (Vec<Row>, [Row; 4]) {
    let usage = r#"{"usage":{"prompt_tokens":10,"completion_tokens":5}}"#;
    let whole = Row {
        at,
        total_ms: 2000,
        score: 3,
        response: usage.to_owned(),
        ..call(1)
    };
    let redacted = Row {
        at: at + 1,
        request: String::new(),
        ..call(2)
    };
    let odd = Row {
        at: at + 2,
        request: "no JSON \0".to_owned(),
        response: "[1]".to_owned(),
        ..call(3)
    };
    let others = [
        Status::Failed,
        Status::Stopped,
        Status::Cached,
        Status::Open,
    ];
    let others = others.map(|status| Row {
        at: at + 3,
        status,
        ..call(4)
    });
    (vec![whole, redacted, odd], others)
}

#[test]
fn what_is_exported_can_be_imported() {
    for (from, to) in pairs() {
        let mut ledger = from.open();
        let at = 1_686_787_200_123;
        let (answered, others) = calls(at);
        for row in answered.iter().chain(&others) {
            ledger.end(row).unwrap();
        }
        ledger.export_log(&to.target, at + 1).unwrap();
        assert_eq!(ledger.export_log(&to.target, at).unwrap(), 3);
        let back = Place::file();
        let mut back = back.open();
        assert_eq!(back.import_log(&to.target).unwrap().imported, 5);
        let found = back
            .rows(&Filter {
                until_ms: Some(at + 1),
                ..Filter::default()
            })
            .unwrap();
        let [one] = found.as_slice() else {
            unreachable!()
        };
        let kept = |row: &Row| {
            let texts = [&row.user, &row.model, &row.request, &row.response].map(String::clone);
            (
                row.at,
                texts,
                row.total_ms,
                row.prompt_tokens,
                row.completion_tokens,
                row.score,
            )
        };
        assert_eq!(kept(one), kept(&answered[0]));
        // Others get the usage that their response lacks.
        let found = back.rows(&Filter::default()).unwrap();
        assert!(
            found
                .iter()
                .all(|row| (row.prompt_tokens, row.completion_tokens) == (10, 5))
        );
        assert_eq!(found.len(), 5);
    }
}

#[test]
fn names_are_cut_only_where_they_must_be() {
    for place in Place::all() {
        place.store().script(ORIGINAL).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&dir.path().join("x").display().to_string()).unwrap();
        let long = "deepseek-ai/deepseek-coder-6.7b-instruct";
        ledger
            .end(&Row {
                model: long.to_owned(),
                ..call(1)
            })
            .unwrap();
        assert_eq!(ledger.export_log(&place.target, 0).unwrap(), 1);
        let found = place
            .store()
            .query("SELECT model_id FROM llm_inference_log", &[])
            .unwrap();
        let expected = if place.server.is_some() {
            &long[..36]
        } else {
            long
        };
        assert_eq!(found, [[Value::from(expected)]]);
    }
}

#[test]
fn a_source_that_is_none_is_told() {
    for place in Place::all() {
        let mut ledger = place.open();
        let error = ledger.import_log("/none/log.sqlite").unwrap_err();
        assert!(matches!(error, LedgerError::Source { .. }), "{error:?}");
        let error = ledger
            .import_log("postgres://me:geheim@127.0.0.1:1/log")
            .unwrap_err();
        assert!(matches!(error, LedgerError::Source { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {}", error.hint()).contains("geheim"));
        let error = ledger.import_log(&place.target).unwrap_err();
        assert!(matches!(error, LedgerError::NoLog { .. }), "{error:?}");
    }
}
