//! Sockets, frames, signatures: bytes on the one side, messages on the other.

mod connection;
mod heartbeat;
mod message;
mod publisher;
mod zmtp;

use bytes::Bytes;
use zeromq::{
    RouterRecvHalf, RouterSendHalf, RouterSocket, Socket as _, SocketRecv as _, SocketSend as _,
    ZmqMessage,
};

pub(crate) use connection::{Connection, ConnectionError};

pub(crate) use message::{Codec, Headers, Message, Object, PROTOCOL_VERSION};
pub(crate) use publisher::Publisher;

/// The channels on which a frontend asks and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Requests in order.
    Shell,
    /// Requests that must not wait behind a cell.
    Control,
    /// Questions of the kernel to the user.
    Stdin,
}

/// What arrives on one channel.
pub(crate) struct Incoming {
    socket: RouterRecvHalf,
    codec: Codec,
    channel: Channel,
}

/// Where answers leave.
pub(crate) struct Outgoing {
    shell: RouterSendHalf,
    control: RouterSendHalf,
    stdin: RouterSendHalf,
    codec: Codec,
    /// What every frontend sees.
    pub(crate) iopub: Publisher,
}

/// Every socket of the kernel.
pub(crate) struct Wire {
    /// Arrivals on the shell channel.
    pub(crate) shell: Incoming,
    /// Arrivals on the control channel.
    pub(crate) control: Incoming,
    /// Arrivals on the stdin channel.
    pub(crate) stdin: Incoming,
    /// The way out.
    pub(crate) out: Outgoing,
}

impl Wire {
    /// Binds every socket that `connection` names.
    pub(crate) async fn bind(connection: &Connection) -> Result<Wire, ConnectionError> {
        let codec = connection.codec()?;
        heartbeat::start(&connection.endpoint(connection.hb_port))?;
        let (shell_out, shell) = router(connection, connection.shell_port).await?;
        let (control_out, control) = router(connection, connection.control_port).await?;
        let (stdin_out, stdin) = router(connection, connection.stdin_port).await?;
        let iopub = Publisher::bind(connection, codec.clone()).await?;
        let incoming = |socket, channel| Incoming {
            socket,
            codec: codec.clone(),
            channel,
        };
        Ok(Wire {
            shell: incoming(shell, Channel::Shell),
            control: incoming(control, Channel::Control),
            stdin: incoming(stdin, Channel::Stdin),
            out: Outgoing {
                shell: shell_out,
                control: control_out,
                stdin: stdin_out,
                codec: codec.clone(),
                iopub,
            },
        })
    }
}

async fn router(
    connection: &Connection,
    port: u16,
) -> Result<(RouterSendHalf, RouterRecvHalf), ConnectionError> {
    let endpoint = connection.endpoint(port);
    let mut socket = RouterSocket::new();
    match socket.bind(&endpoint).await {
        Ok(_) => Ok(socket.split()),
        Err(error) => Err(ConnectionError::Bind {
            endpoint,
            reason: error.to_string(),
        }),
    }
}

impl Incoming {
    /// The next message that is whole and rightly signed; `None` when the socket is gone.
    ///
    /// What is neither is reported and skipped: one bad message must not end the kernel.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            let frames = self.socket.recv().await.ok()?;
            match self.codec.decode(&frames.into_vec()) {
                Ok(message) => return Some(message),
                Err(error) => crate::log(&format!(
                    "a message on {:?} was skipped: {error}",
                    self.channel
                )),
            }
        }
    }
}

impl Outgoing {
    /// Sends `message` to whom its identities name.
    pub(crate) async fn reply(&mut self, channel: Channel, message: &Message) {
        let frames = self.codec.encode(message);
        let socket = match channel {
            Channel::Shell => &mut self.shell,
            Channel::Control => &mut self.control,
            Channel::Stdin => &mut self.stdin,
        };
        let Ok(frames) = ZmqMessage::try_from(frames) else {
            return;
        };
        if let Err(error) = socket.send(frames).await {
            crate::log(&format!("an answer found nobody: {error}"));
        }
    }

    /// Publishes `message` under `topic`.
    pub(crate) async fn publish(&mut self, topic: &str, message: &Message) {
        let mut frames = self.codec.encode(message);
        frames.insert(0, Bytes::copy_from_slice(topic.as_bytes()));
        self.iopub.publish(&frames).await;
    }
}
