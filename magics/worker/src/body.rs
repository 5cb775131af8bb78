//! The JSON body of a request, within the limits on size and time.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use crate::refusal::Refusal;
use crate::state::Limits;

/// Reads the body of `request`, which must be JSON.
pub(crate) async fn read(request: Request, limits: &Limits) -> Result<Value, Refusal> {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must be JSON, with the header `Content-Type: application/json`",
        ));
    }
    let bytes = tokio::time::timeout(limits.slow, bytes(body, &head.headers, limits.body_bytes))
        .await
        .map_err(|_| {
            let message = format!("the body did not come within {} s", limits.slow.as_secs());
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
        })??;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::invalid("body", format!("the body is not JSON: {error}")))
}

async fn bytes(body: Body, headers: &HeaderMap, most: usize) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("the body is larger than {most} bytes, the most that is read");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    match Limited::new(body, most).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(error) => Err(Refusal::invalid(
            "body",
            format!("the body could not be read: {error}"),
        )),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            let kind = kind.trim().to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        })
}
