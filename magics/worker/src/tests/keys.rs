//! Keys, and what they decide: who gets in, for whom it counts, how urgent it is.

use serde_json::{Value, json};

use super::house::{House, Plan, and, chat};
use crate::Keys;

const CHAT: &str = "/v1/chat/completions";

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_known_key_gets_in() {
    let plan = Plan {
        keys: Keys::parse("sk-1 ada\nsk-2 grace batch", "test").unwrap(),
        ..Plan::default()
    };
    let house = plan.open().await;
    for path in ["/v1/models", "/v1/models/toy", "/metrics"] {
        let reply = house.client.get(path).await;
        assert_eq!(
            reply.error(),
            (401, "-".into(), "invalid_api_key".into()),
            "{path}"
        );
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    for wrong in ["Bearer sk-3", "Bearer ", "Basic sk-1", "sk-1"] {
        let reply = house
            .client
            .with("authorization", wrong)
            .post(CHAT, &chat("hi"))
            .await;
        assert_eq!(reply.status, 401, "{wrong}");
    }
    assert_eq!(house.client.get("/health").await.status, 200);
    let client = house.client.with("authorization", "bearer sk-1");
    assert_eq!(client.get("/v1/models").await.status, 200);
    assert_eq!(client.post(CHAT, &chat("hi")).await.status, 200);
}

/// Key, header, fields; and what they come to: client and class.
fn asked() -> Vec<(
    &'static str,
    &'static str,
    Value,
    &'static str,
    &'static str,
)> {
    let flex = json!({ "service_tier": "flex" });
    let priority = json!({ "service_tier": "priority" });
    let both = json!({ "priority": 0, "service_tier": "flex" });
    let user = json!({ "user": "somebody", "service_tier": "auto" });
    vec![
        ("sk-1", "", json!({}), "ada", "interactive"),
        ("sk-1", "", json!({ "priority": 10 }), "ada", "batch"),
        ("sk-1", "", both, "ada", "interactive"),
        ("sk-1", "", flex, "ada", "batch"),
        ("sk-1", "3", priority.clone(), "ada", "batch"),
        ("sk-2", "", user, "grace", "batch"),
        ("sk-2", "", priority, "grace", "interactive"),
        (
            "sk-2",
            "Interactive",
            json!({ "priority": 10 }),
            "grace",
            "interactive",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_who_and_how_urgent_and_no_texts() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("requests.jsonl");
    let plan = Plan {
        keys: Keys::parse("sk-1 ada\nsk-2 grace batch", "test").unwrap(),
        log: Some(log.clone()),
        ..Plan::default()
    };
    let house = plan.open().await;
    let question = and(chat("secret"), json!({ "max_tokens": 2 }));
    for (key, header, more, ..) in asked() {
        let mut client = house.client.with("authorization", &format!("Bearer {key}"));
        if !header.is_empty() {
            client = client.with("x-priority", header);
        }
        let reply = client
            .post(CHAT, &and(question.clone(), more.clone()))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let tier = match more["service_tier"].as_str() {
            Some("auto") => json!("default"),
            other => json!(other),
        };
        assert_eq!(reply.json()["service_tier"], tier);
    }
    let wrong = house
        .client
        .with("authorization", "Bearer sk-1")
        .with("x-priority", "soon");
    assert_eq!(wrong.post(CHAT, &question).await.error().1, "x-priority");
    house.server.idle().await;
    let lines = lines(&log);
    assert_eq!(lines.len(), asked().len() + 1);
    for (line, (_, _, more, name, class)) in lines.iter().zip(asked()) {
        assert_eq!(
            (&line["client"], &line["class"]),
            (&json!(name), &json!(class)),
            "{more}"
        );
        assert_eq!(
            (&line["status"], &line["completion_tokens"]),
            (&json!(200), &json!(2))
        );
        assert_eq!(line["finish_reason"], "length");
        assert!(line["total_ms"].as_f64().unwrap() >= line["first_ms"].as_f64().unwrap());
    }
    assert_eq!(lines[asked().len()]["status"], 400);
    assert!(!std::fs::read_to_string(&log).unwrap().contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_keys_the_user_tells_clients_apart() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("requests.jsonl");
    let plan = Plan {
        log: Some(log.clone()),
        ..Plan::default()
    };
    let house: House = plan.open().await;
    for user in [json!("ada"), json!(null)] {
        let body = and(chat("hi"), json!({ "user": user, "max_tokens": 1 }));
        assert_eq!(house.client.post(CHAT, &body).await.status, 200);
    }
    house.server.idle().await;
    let clients: Vec<Value> = lines(&log)
        .iter()
        .map(|line| line["client"].clone())
        .collect();
    assert_eq!(clients, ["ada", "127.0.0.1"]);
}
