//! The part of ZMTP 3.0 that a publisher speaks: greeting, the NULL handshake, frames.
//! See <https://rfc.zeromq.org/spec/23/>; subscriptions may come as messages (3.0) or as commands (3.1).

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const GREETING_LENGTH: usize = 64;
/// What a subscriber sends is short; anything longer is not a subscriber.
const LONGEST_FRAME: u64 = 64 * 1024;
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What a subscriber tells us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It wants messages whose topic begins so.
    Subscribe(Bytes),
    /// It no longer does.
    Cancel(Bytes),
    /// It wants to know whether we live; the answer is ready to be sent.
    Ping(Bytes),
    /// Something that needs no answer.
    Other,
}

/// Greets a peer and agrees on how to talk; an error means that it is not a subscriber.
pub(super) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> io::Result<()> {
    stream.write_all(&greeting()).await?;
    let mut theirs = [0; GREETING_LENGTH];
    stream.read_exact(&mut theirs).await?;
    let is_zmtp3 = theirs[0] == 0xff && theirs[9] == 0x7f && theirs[10] >= 3;
    if !is_zmtp3 || !theirs[12..].starts_with(b"NULL\0") {
        return Err(io::Error::other(
            "the peer does not speak ZMTP 3 without encryption",
        ));
    }
    stream
        .write_all(&command(b"READY", &property(b"Socket-Type", b"XPUB")))
        .await?;
    let (flags, body) = read_frame(stream).await?;
    let named = body
        .strip_prefix(b"\x05READY")
        .filter(|_| flags & COMMAND != 0);
    let properties = named.ok_or_else(|| io::Error::other("the peer is not ready"))?;
    match socket_type(properties) {
        Some(b"SUB" | b"XSUB") => Ok(()),
        _ => Err(io::Error::other("the peer is not a subscriber")),
    }
}

/// The next thing that a subscriber says.
pub(super) async fn hear<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Told> {
    let (flags, body) = read_frame(stream).await?;
    if flags & COMMAND == 0 {
        return Ok(match body.first() {
            Some(1) => Told::Subscribe(body.slice(1..)),
            Some(0) => Told::Cancel(body.slice(1..)),
            _ => Told::Other,
        });
    }
    let length = body.first().map_or(0, |&length| usize::from(length) + 1);
    if body.len() < length {
        return Err(io::Error::other("a command without its name"));
    }
    let rest = body.slice(length..);
    Ok(match body.get(1..length) {
        Some(b"SUBSCRIBE") => Told::Subscribe(rest),
        Some(b"CANCEL") => Told::Cancel(rest),
        // A ping is two bytes of time to live and a context that goes back.
        Some(b"PING") => Told::Ping(command(b"PONG", rest.get(2..).unwrap_or_default())),
        Some(b"ERROR") => return Err(io::Error::other("the peer reports an error")),
        _ => Told::Other,
    })
}

/// The bytes of a message of several frames.
pub(super) fn message(frames: &[Bytes]) -> Bytes {
    let length = frames.iter().map(|frame| frame.len() + 9).sum();
    let mut bytes = BytesMut::with_capacity(length);
    for (index, frame) in frames.iter().enumerate() {
        let more = if index + 1 < frames.len() { MORE } else { 0 };
        put_frame(&mut bytes, more, frame);
    }
    bytes.freeze()
}

fn greeting() -> [u8; GREETING_LENGTH] {
    let mut greeting = [0; GREETING_LENGTH];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

fn command(name: &[u8], rest: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(1 + name.len() + rest.len());
    body.push(name.len() as u8);
    body.extend_from_slice(name);
    body.extend_from_slice(rest);
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, COMMAND, &body);
    bytes.freeze()
}

fn put_frame(bytes: &mut BytesMut, flags: u8, body: &[u8]) {
    if let Ok(length) = u8::try_from(body.len()) {
        bytes.put_u8(flags);
        bytes.put_u8(length);
    } else {
        bytes.put_u8(flags | LONG);
        bytes.put_u64(body.len() as u64);
    }
    bytes.put_slice(body);
}

async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u8, Bytes)> {
    let flags = stream.read_u8().await?;
    let length = match flags & LONG {
        0 => u64::from(stream.read_u8().await?),
        _ => stream.read_u64().await?,
    };
    if length > LONGEST_FRAME {
        return Err(io::Error::other("a frame is too long for a subscriber"));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok((flags, body.into()))
}

fn property(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![name.len() as u8];
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// The property `Socket-Type`; names of properties may be written small or large.
fn socket_type(mut properties: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, rest) = properties.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return Some(value);
        }
        properties = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_frames_have_their_own_lengths() {
        let frames = [Bytes::from_static(b"ab"), Bytes::from(vec![7; 256])];
        let bytes = message(&frames);
        assert_eq!(&bytes[..4], &[MORE, 2, b'a', b'b']);
        assert_eq!(&bytes[4..13], &[LONG, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(bytes.len(), 13 + 256);
    }

    #[test]
    fn properties_are_found_whatever_their_case() {
        let mut both = property(b"Identity", b"");
        both.extend(property(b"socket-type", b"SUB"));
        assert_eq!(socket_type(&both), Some(b"SUB".as_slice()));
        assert_eq!(socket_type(&both[..both.len() - 1]), None);
        assert_eq!(socket_type(b""), None);
    }

    fn heard(bytes: &[u8]) -> io::Result<Told> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut bytes = bytes;
        runtime.block_on(hear(&mut bytes))
    }

    #[test]
    fn subscriptions_come_in_two_forms() {
        assert_eq!(heard(b"\0\x01\x01").unwrap(), Told::Subscribe(Bytes::new()));
        assert_eq!(
            heard(b"\0\x03\0ab").unwrap(),
            Told::Cancel(Bytes::from_static(b"ab"))
        );
        assert_eq!(
            heard(b"\x04\x0b\x09SUBSCRIBEa").unwrap(),
            Told::Subscribe(Bytes::from_static(b"a"))
        );
        assert_eq!(
            heard(b"\x04\x08\x04PING\0\x09x").unwrap(),
            Told::Ping(Bytes::from_static(b"\x04\x06\x04PONGx"))
        );
    }

    #[test]
    fn hostile_frames_end_the_connection() {
        assert!(heard(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
        assert!(heard(b"\x04\x02\x09S").is_err());
        assert!(heard(b"\x04\x06\x05ERROR").is_err());
        assert_eq!(heard(b"\0\0").unwrap(), Told::Other);
    }
}
