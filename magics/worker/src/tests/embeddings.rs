//! Vectors of a decoder; those of encoders are tested with the program.

use base64::Engine as _;
use mlk8s_generate::Pooling;
use serde_json::{Value, json};

use super::house::Plan;
use crate::Vectors;

const PATH: &str = "/v1/embeddings";

fn plan(nested: bool) -> Plan {
    Plan {
        vectors: Some(Vectors {
            pooling: Pooling::Last,
            nested,
        }),
        ..Plan::default()
    }
}

/// Whether the numbers are these, to five places.
fn check(found: &Value, wanted: &[f64]) {
    let found: Vec<f64> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    assert_eq!(found.len(), wanted.len());
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() < 1e-5, "{found:?} is not {wanted:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_input_has_a_vector_of_length_one() {
    let house = plan(false).open().await;
    let body = json!({ "model": "toy", "input": ["ab", "a"], "encoding_format": "float" });
    let answer = house.client.post(PATH, &body).await.json();
    assert_eq!(answer["object"], "list");
    assert_eq!(
        answer["usage"],
        json!({ "prompt_tokens": 3, "total_tokens": 3 })
    );
    for (index, letter) in [b'b', b'a'].into_iter().enumerate() {
        let row = &answer["data"][index];
        assert_eq!(
            (&row["object"], &row["index"]),
            (&json!("embedding"), &json!(index))
        );
        let letter = f64::from(letter);
        let length = (letter * letter + 10_000.0).sqrt();
        check(
            &row["embedding"],
            &[letter / length, 60.0 / length, 80.0 / length, 0.0],
        );
    }
    // Tokens are as good as texts, and packed numbers are the same.
    let packed = json!({ "input": [[97, 98], [97]], "encoding_format": "base64" });
    let packed = house.client.post(PATH, &packed).await.json();
    for index in 0..2 {
        let bytes = packed["data"][index]["embedding"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(bytes)
            .unwrap();
        let numbers: Vec<f64> = bytes
            .chunks_exact(4)
            .map(|x| f32::from_le_bytes(x.try_into().unwrap()).into())
            .collect();
        check(&answer["data"][index]["embedding"], &numbers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_are_cut_where_the_model_allows_it() {
    let ask = |n: i64| json!({ "input": "d", "dimensions": n });
    let house = plan(true).open().await;
    let cut = house.client.post(PATH, &ask(3)).await.json();
    let length = (100.0_f64 * 100.0 + 10_000.0).sqrt();
    check(
        &cut["data"][0]["embedding"],
        &[100.0 / length, 60.0 / length, 80.0 / length],
    );
    assert_eq!(
        house.client.post(PATH, &ask(5)).await.error().1,
        "dimensions"
    );
    let house = plan(false).open().await;
    assert_eq!(
        house.client.post(PATH, &ask(3)).await.error(),
        (400, "dimensions".into(), "unsupported_parameter".into())
    );
    assert_eq!(house.client.post(PATH, &ask(4)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_vector_is_refused() {
    let house = plan(false).open().await;
    let cases = [
        (json!({}), "input"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": "" }), "input"),
        (json!({ "input": "a".repeat(600) }), "input"),
        (
            json!({ "input": "a", "encoding_format": "hex" }),
            "encoding_format",
        ),
        (json!({ "input": "a", "dimensions": 0 }), "dimensions"),
    ];
    for (body, param) in cases {
        let error = house.client.post(PATH, &body).await.error();
        assert_eq!((error.0, error.1.as_str()), (400, param), "{body}");
    }
    let writer = Plan::default().open().await;
    let error = writer
        .client
        .post(PATH, &json!({ "input": "a" }))
        .await
        .error();
    assert_eq!((error.0, error.1.as_str()), (400, "model"));
}
