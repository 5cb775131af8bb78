//! What can be asked of the server: one file an endpoint, and the table of them.

mod chat;
mod completions;
mod embeddings;
mod health;
mod inputs;
mod metrics;
mod models;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::Value;

use crate::body;
use crate::call::Call;
use crate::door::{self, Visit};
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::served::Served;
use crate::state::Server;

/// The server's endpoints, below `base` (`/openai`, or nothing).
pub fn router(server: Arc<Server>, base: &str) -> Router {
    let keyed = Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/embeddings", post(embeddings))
        .route("/metrics", get(metrics::show))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&server),
            door::check,
        ));
    let all = keyed
        .route("/health", get(health::show))
        .with_state(server)
        .fallback(unknown)
        .method_not_allowed_fallback(unsuited);
    match base.trim_end_matches('/') {
        "" => all,
        base => Router::new().nest(base, all).fallback(unknown),
    }
}

async fn chat(State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(server, "chat/completions", request, chat::answer).await
}

async fn completions(State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(server, "completions", request, completions::answer).await
}

async fn embeddings(State(server): State<Arc<Server>>, request: Request) -> Response {
    answer(server, "embeddings", request, embeddings::answer).await
}

/// Reads the body and has the endpoint answer; whatever happens is counted and logged.
async fn answer<F>(
    server: Arc<Server>,
    name: &'static str,
    mut request: Request,
    endpoint: impl FnOnce(Arc<Server>, Call, Value) -> F,
) -> Response
where
    F: Future<Output = Result<Response, Refusal>>,
{
    let visitor = request
        .extensions_mut()
        .remove::<Visit>()
        .unwrap_or_default()
        .visitor(request.headers());
    let call = Call::begin(Arc::clone(&server), name, visitor);
    let answered = async {
        server.served()?;
        let body = body::read(request, &server.limits).await?;
        endpoint(Arc::clone(&server), call.clone(), body).await
    };
    let response = answered.await.unwrap_or_else(Refusal::into_response);
    call.set_status(response.status());
    response
}

/// The model, when it is the one that the request is for.
fn model(server: &Server, fields: &Fields<'_>) -> Result<Arc<Served>, Refusal> {
    match fields.text("model")? {
        Some(asked) if asked != server.name() => Err(Refusal::model(asked, server.name())),
        _ => server.served(),
    }
}

async fn unknown(method: Method, uri: Uri) -> Refusal {
    let message = format!("nothing is at `{method} {}`", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, "unknown_url", message)
}

async fn unsuited(method: Method, uri: Uri) -> Refusal {
    let message = format!("`{}` cannot be asked with {method}", uri.path());
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}
