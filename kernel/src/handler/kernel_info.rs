//! `kernel_info_request`: who we are. It is answered before Rust cells are ready.

use serde_json::json;

use crate::outbox::object;
use crate::wire::{Object, PROTOCOL_VERSION};

/// What we say about us.
pub(crate) fn reply() -> Object {
    let version = env!("CARGO_PKG_VERSION");
    object(json!({
        "status": "ok",
        "protocol_version": PROTOCOL_VERSION,
        "implementation": "mlk8s",
        "implementation_version": version,
        "language_info": {
            "name": "rust",
            "version": env!("CARGO_PKG_RUST_VERSION"),
            "mimetype": "text/x-rust",
            "file_extension": ".rs",
            "pygments_lexer": "rust",
            "codemirror_mode": "rust",
            "nbconvert_exporter": "script",
        },
        "banner": format!("mlk8s {version}: Rust, and magics for making sense of documents. `%help` says more."),
        "debugger": false,
        "supported_features": ["iopub_welcome"],
        "help_links": [
            { "text": "The Rust Programming Language", "url": "https://doc.rust-lang.org/book/" },
            { "text": "The Rust standard library", "url": "https://doc.rust-lang.org/std/" },
            { "text": "Polars", "url": "https://docs.rs/polars" },
        ],
    }))
}
