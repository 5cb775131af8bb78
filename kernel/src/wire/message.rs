//! A message of the Jupyter protocol and its form on the wire: identities, delimiter, signature, four JSON parts,
//! buffers. See <https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol>.
//!
//! Headers are kept as they came, because a header may hold more than we know (`subshell_id`) and has to be given
//! back whole.

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;
use thiserror::Error;

/// Stands between the identities and the message.
const DELIMITER: &[u8] = b"<IDS|MSG>";
/// Version of the protocol in our headers.
pub(crate) const PROTOCOL_VERSION: &str = "5.5";

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// One message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    /// Whom a ROUTER socket got it from or sends it to.
    pub(crate) identities: Vec<Bytes>,
    /// Identifier, session, user, date, type, version.
    pub(crate) header: Arc<Object>,
    /// The header of the request that led to it.
    pub(crate) parent_header: Arc<Object>,
    /// What is not part of the content.
    pub(crate) metadata: Object,
    /// What it says.
    pub(crate) content: Object,
    /// Raw bytes behind it.
    pub(crate) buffers: Vec<Bytes>,
}

/// Why frames are not a message.
#[derive(Debug, Error)]
pub(crate) enum MessageError {
    /// The frames end too early.
    #[error("it has no delimiter, or fewer than six parts follow")]
    Truncated,
    /// Signed with another key, or not at all.
    #[error("its signature is wrong")]
    Signature,
    /// Not JSON objects.
    #[error("its {part} is no JSON object: {reason}")]
    Json {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        reason: serde_json::Error,
    },
}

/// Turns messages into frames and back.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    /// The keyed hash; none when messages are not signed.
    hash: Option<Hmac<Sha256>>,
}

impl Codec {
    /// A codec that signs with `key`; an empty key means that messages are not signed.
    pub(crate) fn new(key: &str) -> Codec {
        let hash = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok();
        Codec {
            hash: hash.filter(|_| !key.is_empty()),
        }
    }

    /// The message that `frames` are.
    pub(crate) fn decode(&self, frames: &[Bytes]) -> Result<Message, MessageError> {
        let delimiter = frames.iter().position(|frame| frame.as_ref() == DELIMITER);
        let at = delimiter.ok_or(MessageError::Truncated)?;
        let Some([signature, header, parent, metadata, content]) = frames.get(at + 1..at + 6)
        else {
            return Err(MessageError::Truncated);
        };
        self.verify(signature, [header, parent, metadata, content])?;
        Ok(Message {
            header: Arc::new(object(header, "header")?),
            parent_header: Arc::new(object(parent, "parent header")?),
            metadata: object(metadata, "metadata")?,
            content: object(content, "content")?,
            buffers: frames[at + 6..].to_vec(),
            identities: frames[..at].to_vec(),
        })
    }

    /// The frames of `message`.
    pub(crate) fn encode(&self, message: &Message) -> Vec<Bytes> {
        let parts = [
            message.header.as_ref(),
            message.parent_header.as_ref(),
            &message.metadata,
            &message.content,
        ]
        .map(|part| Bytes::from(serde_json::to_vec(part).unwrap_or_default()));
        let mut frames = message.identities.clone();
        frames.push(Bytes::from_static(DELIMITER));
        frames.push(Bytes::from(self.sign(&parts)));
        frames.extend(parts);
        frames.extend(message.buffers.iter().cloned());
        frames
    }

    fn sign(&self, parts: &[Bytes; 4]) -> String {
        let Some(mut hash) = self.hash.clone() else {
            return String::new();
        };
        for part in parts {
            hash.update(part);
        }
        hex::encode(hash.finalize().into_bytes())
    }

    fn verify(&self, signature: &[u8], parts: [&Bytes; 4]) -> Result<(), MessageError> {
        let Some(mut hash) = self.hash.clone() else {
            return Ok(());
        };
        for part in parts {
            hash.update(part);
        }
        let signature = hex::decode(signature).map_err(|_| MessageError::Signature)?;
        hash.verify_slice(&signature)
            .map_err(|_| MessageError::Signature)
    }
}

/// A part that must be a JSON object; an absent parent may be `null`.
fn object(bytes: &[u8], part: &'static str) -> Result<Object, MessageError> {
    let parsed: Option<Object> =
        serde_json::from_slice(bytes).map_err(|reason| MessageError::Json { part, reason })?;
    Ok(parsed.unwrap_or_default())
}

impl Message {
    /// Type of the message.
    pub(crate) fn kind(&self) -> &str {
        self.header
            .get("msg_type")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// Writes the headers of one run of the kernel.
#[derive(Debug, Clone)]
pub(crate) struct Headers {
    session: String,
    count: u64,
}

impl Headers {
    /// Headers of a new session.
    pub(crate) fn new() -> Headers {
        Headers {
            session: uuid::Uuid::new_v4().to_string(),
            count: 0,
        }
    }

    /// A header for a message of type `kind`, with an identifier of its own.
    pub(crate) fn next(&mut self, kind: &str) -> Object {
        self.count += 1;
        let date = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let values = [
            ("msg_id", format!("{}_{}", self.session, self.count)),
            ("session", self.session.clone()),
            ("username", "kernel".to_owned()),
            ("date", date),
            ("msg_type", kind.to_owned()),
            ("version", PROTOCOL_VERSION.to_owned()),
        ];
        values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Message {
        let object = |value: Value| value.as_object().unwrap().clone();
        Message {
            identities: vec![Bytes::from_static(b"\0someone")],
            header: Arc::new(object(
                json!({"msg_id": "1", "msg_type": "comm_msg", "subshell_id": "s"}),
            )),
            content: object(json!({"data": {"ü": [1, 2]}})),
            buffers: vec![Bytes::from_static(&[0, 255])],
            ..Message::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for key in ["", "secret"] {
            let codec = Codec::new(key);
            assert_eq!(codec.decode(&codec.encode(&sample())).unwrap(), sample());
        }
    }

    #[test]
    fn a_changed_message_is_refused() {
        let codec = Codec::new("secret");
        let mut frames = codec.encode(&sample());
        frames[6] = Bytes::from_static(b"{\"data\":{}}");
        assert!(matches!(
            codec.decode(&frames),
            Err(MessageError::Signature)
        ));
        let unsigned = Codec::new("").encode(&sample());
        assert!(matches!(
            codec.decode(&unsigned),
            Err(MessageError::Signature)
        ));
    }

    #[test]
    fn broken_frames_are_refused() {
        let codec = Codec::new("");
        let frames = codec.encode(&sample());
        for n in 0..7 {
            assert!(
                matches!(codec.decode(&frames[..n]), Err(MessageError::Truncated)),
                "{n}"
            );
        }
        let mut list = frames.clone();
        list[6] = Bytes::from_static(b"[]");
        assert!(matches!(
            codec.decode(&list),
            Err(MessageError::Json {
                part: "content",
                ..
            })
        ));
    }
}
