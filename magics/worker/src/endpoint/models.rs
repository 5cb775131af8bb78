//! `GET /v1/models` and `/v1/models/{id}`: what can be asked here.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::served::{Kind, Served};
use crate::state::Server;

/// The list of the one model.
pub(super) async fn list(State(server): State<Arc<Server>>) -> Result<Json<Value>, Refusal> {
    let loaded = server.served()?;
    Ok(Json(
        json!({ "object": "list", "data": [object(&server, &loaded)] }),
    ))
}

/// The model, if it is the one that is asked for.
pub(super) async fn one(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let loaded = server.served()?;
    if id == server.name() {
        Ok(Json(object(&server, &loaded)))
    } else {
        Err(Refusal::model(&id, server.name()))
    }
}

/// OpenAI's object of a model, with what else is known of it. `max_model_len` is vLLM's name of the context.
fn object(server: &Server, loaded: &Served) -> Value {
    let (kind, context) = match &loaded.kind {
        Kind::Writer(writer) => ("text", writer.engine.context()),
        Kind::Encoder(encoder) => ("embedding", encoder.info().max_tokens),
    };
    json!({
        "id": server.name(),
        "object": "model",
        "created": loaded.created,
        "owned_by": "mlk8s",
        "kind": kind,
        "max_model_len": context,
        "summary": loaded.summary,
    })
}
