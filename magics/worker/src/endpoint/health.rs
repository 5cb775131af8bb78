//! `GET /health`: whether the server answers, and why not.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::state::{Health, Server};

/// 200 when the model can be asked, 503 when not.
pub(super) async fn show(State(server): State<Arc<Server>>) -> (StatusCode, Json<Value>) {
    let model = server.name();
    let (status, body) = match server.health() {
        Health::Ok => (StatusCode::OK, json!({ "status": "ok" })),
        Health::Loading(done, total) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "status": "loading", "done": done, "total": total }),
        ),
        Health::Draining => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "status": "draining", "under_way": server.n_under_way() }),
        ),
        Health::Failed(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "status": "failed", "reason": reason }),
        ),
    };
    let mut body = body;
    body["model"] = model.into();
    (status, Json(body))
}
