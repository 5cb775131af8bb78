//! Two hundred requests at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::house::{Plan, and, chat};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_once_are_answered_right() {
    let house = Plan::default().open().await;
    let asked = (0..200_usize).map(|number| {
        let client = house.client.clone();
        async move {
            let n = 1 + number % 26;
            let tier = if number % 3 == 0 { "flex" } else { "default" };
            let wanted: String = ('a'..='z').take(n).collect();
            let more = json!({ "max_tokens": n, "service_tier": tier, "stream": number % 2 == 0 });
            let body = and(chat(&format!("number {number}")), more);
            if number % 2 == 0 {
                let mut open = client.open("/v1/chat/completions", &body).await;
                assert_eq!(open.status, 200);
                let mut events = open.events().await;
                assert_eq!(events.pop().unwrap(), "[DONE]");
                let text: String = events
                    .iter()
                    .map(|event| serde_json::from_str::<Value>(event).unwrap())
                    .filter_map(|piece| {
                        piece["choices"][0]["delta"]["content"]
                            .as_str()
                            .map(str::to_owned)
                    })
                    .collect();
                assert_eq!(text, wanted);
            } else {
                let reply = client.post("/v1/chat/completions", &body).await.json();
                assert_eq!(reply["choices"][0]["message"]["content"], wanted);
                assert_eq!(reply["usage"]["completion_tokens"], n);
            }
            n
        }
    });
    let tokens: usize = join_all(asked).await.into_iter().sum();
    house.server.idle().await;
    let ended = |class: &str| {
        format!(
            "mlk8s_requests_total{{endpoint=\"chat/completions\",status=\"200\",class=\"{class}\"}}"
        )
    };
    let requests = house.meter(&ended("interactive")).await + house.meter(&ended("batch")).await;
    assert!((requests - 200.0).abs() < 1e-9, "{requests}");
    let counted = house.meter("mlk8s_tokens_total{kind=\"completion\"}").await;
    assert!(
        (counted - tokens as f64).abs() < 1e-9,
        "{counted} is not {tokens}"
    );
    for meter in ["mlk8s_requests_under_way", "mlk8s_sequences_running"] {
        assert!(house.meter(meter).await < 0.5, "{meter}");
    }
    let first = "mlk8s_time_to_first_token_seconds_count{class=\"batch\"}";
    assert!(house.meter(first).await > 60.0);
    assert!(house.meter("mlk8s_resident_memory_bytes").await > 1e6);
}
