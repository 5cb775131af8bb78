//! The connection file: where to listen and with which key to sign.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::Codec;

/// What a frontend's connection file says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Connection {
    ip: String,
    #[serde(default = "tcp")]
    transport: String,
    /// Port of the shell channel.
    pub(crate) shell_port: u16,
    /// Port of the control channel.
    pub(crate) control_port: u16,
    /// Port of the stdin channel.
    pub(crate) stdin_port: u16,
    /// Port of the `IOPub` channel.
    pub(crate) iopub_port: u16,
    /// Port of the heartbeat.
    pub(crate) hb_port: u16,
    #[serde(default)]
    key: String,
    #[serde(default = "hmac_sha256")]
    signature_scheme: String,
}

/// Why a kernel cannot be reached.
#[derive(Debug, Error)]
pub(crate) enum ConnectionError {
    /// The connection file is not there.
    #[error("cannot read the connection file `{path}`: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The connection file has another form.
    #[error("`{path}` is not a connection file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: serde_json::Error,
    },
    /// Messages are signed in a way that we do not know.
    #[error("signature scheme `{scheme}` is not known, only `hmac-sha256`")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// Somebody else listens there already, or the address is not ours.
    #[error("cannot listen on `{endpoint}`: {reason}")]
    Bind {
        /// The address.
        endpoint: String,
        /// What the system says.
        reason: String,
    },
}

impl Connection {
    /// Reads the connection file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Connection, ConnectionError> {
        let unreadable = |reason| ConnectionError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read(path).map_err(unreadable)?;
        serde_json::from_slice(&text).map_err(|reason| ConnectionError::Malformed {
            path: path.to_owned(),
            reason,
        })
    }

    /// The address of `port`, in the way in which Jupyter writes it.
    pub(super) fn endpoint(&self, port: u16) -> String {
        let between = if self.is_ipc() { '-' } else { ':' };
        format!("{}://{}{between}{port}", self.transport, self.ip)
    }

    /// Whether the sockets are files.
    pub(super) fn is_ipc(&self) -> bool {
        self.transport == "ipc"
    }

    /// Turns messages into frames and back, signed with the key of this connection.
    pub(super) fn codec(&self) -> Result<Codec, ConnectionError> {
        if !self.key.is_empty() && self.signature_scheme != hmac_sha256() {
            return Err(ConnectionError::Scheme {
                scheme: self.signature_scheme.clone(),
            });
        }
        Ok(Codec::new(&self.key))
    }
}

fn tcp() -> String {
    "tcp".to_owned()
}

fn hmac_sha256() -> String {
    "hmac-sha256".to_owned()
}
