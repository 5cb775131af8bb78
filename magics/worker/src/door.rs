//! Who comes in: the key of a request, and whether there is room.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::call::Visitor;
use crate::keys::Caller;
use crate::refusal::Refusal;
use crate::state::Server;

/// Where a connection comes from; put into each of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// The other end.
    pub(crate) address: IpAddr,
    /// There are more connections than there should be: only what costs nothing is answered.
    pub(crate) crowded: bool,
}

/// What the door found out about a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visit {
    known: Option<Caller>,
    address: Option<IpAddr>,
}

impl Visit {
    /// Who asks, with what the headers say.
    pub(crate) fn visitor(self, headers: &HeaderMap) -> Visitor {
        let priority = headers
            .get("x-priority")
            .and_then(|word| word.to_str().ok());
        Visitor {
            known: self.known,
            address: self.address,
            priority: priority.map(|word| word.trim().to_ascii_lowercase()),
        }
    }
}

/// Lets a request through that has a key, where there are any.
pub(crate) async fn check(
    State(server): State<Arc<Server>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let peer = request.extensions().get::<Peer>().copied();
    let known = known(&server, request.headers())?;
    if peer.is_some_and(|peer| peer.crowded) {
        return Err(Refusal::unavailable(
            "too_many_connections",
            "there are too many connections",
        ));
    }
    request.extensions_mut().insert(Visit {
        known,
        address: peer.map(|peer| peer.address),
    });
    Ok(next.run(request).await)
}

fn known(server: &Server, headers: &HeaderMap) -> Result<Option<Caller>, Refusal> {
    if server.keys.is_empty() {
        return Ok(None);
    }
    let key = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .ok_or_else(|| Refusal::key("no key: send the header `Authorization: Bearer KEY`"))?;
    server
        .keys
        .caller(key)
        .cloned()
        .map(Some)
        .ok_or_else(|| Refusal::key("the key is not known here"))
}
