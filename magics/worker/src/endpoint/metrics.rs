//! `GET /metrics`: what is measured, for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, header};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use crate::refusal::Refusal;
use crate::state::{Health, Server};

/// All meters.
pub(super) async fn show(
    State(server): State<Arc<Server>>,
) -> Result<([(HeaderName, &'static str); 1], String), Refusal> {
    let load = server.model().map(|served| served.load());
    let ready = server.health() == Health::Ok;
    let text = server
        .meters
        .text(ready, server.n_under_way(), load.as_ref())
        .map_err(|_| Refusal::internal("the meters could not be written"))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}
