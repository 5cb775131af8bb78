//! A frontend for tests: starts the kernel as Jupyter does and talks to it over real ZeroMQ sockets.
//!
//! It reads everything that the kernel sends: a message that no test expects fails the test.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zeromq::{
    DealerSocket, ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, SubSocket, ZmqMessage,
};

use super::launch::{KEY, Running, Transport, connection_file, spawn};

/// A kernel that says nothing for so long is stuck. Cells may wait for a compiler on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);
/// How long a message that should not be there may take.
const SILENCE: Duration = Duration::from_millis(100);

/// One end of the talk.
pub(super) struct Frontend {
    runtime: Runtime,
    kernel: Running,
    shell: DealerSocket,
    control: DealerSocket,
    stdin: DealerSocket,
    iopub: SubSocket,
    heartbeat: ReqSocket,
    count: u64,
    /// Where the kernel works; removed at the end.
    pub(super) dir: TempDir,
}

/// A message, as far as tests look at it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) kind: String,
    pub(super) parent: String,
    pub(super) content: Value,
}

/// What came of one request.
#[derive(Debug)]
pub(super) struct Talk {
    /// What everybody sees, a line each, from busy to idle.
    pub(super) seen: Vec<String>,
    /// The content of the reply.
    pub(super) reply: Value,
}

impl Frontend {
    /// Starts the kernel and listens.
    pub(super) fn start(transport: Transport) -> Frontend {
        let dir = tempfile::tempdir().unwrap();
        let (file, ports) = connection_file(dir.path(), transport);
        let kernel = spawn(dir.path(), &file);
        let runtime = Runtime::new().unwrap();
        let name = |port| match transport {
            Transport::Tcp => format!("tcp://127.0.0.1:{port}"),
            Transport::Ipc => format!("ipc://{}-{port}", dir.path().join("socket").display()),
        };
        let (shell, control, stdin, iopub, heartbeat) = runtime.block_on(async {
            let mut iopub: SubSocket = SubSocket::new();
            iopub.subscribe("").await.unwrap();
            iopub.connect(&name(ports[3])).await.unwrap();
            (
                connect(&name(ports[0])).await,
                connect(&name(ports[1])).await,
                connect(&name(ports[2])).await,
                iopub,
                connect(&name(ports[4])).await,
            )
        });
        let mut frontend = Frontend {
            runtime,
            kernel,
            shell,
            control,
            stdin,
            iopub,
            heartbeat,
            count: 0,
            dir,
        };
        let welcome = frontend.published();
        assert_eq!(
            (welcome.kind.as_str(), &welcome.content),
            ("iopub_welcome", &json!({"subscription": ""}))
        );
        assert_eq!(line(&frontend.published()), "status starting");
        assert_eq!(line(&frontend.published()), "status idle");
        frontend
    }

    /// Sends a request on the shell channel and reads all that comes of it.
    pub(super) fn ask(&mut self, kind: &str, content: &Value) -> Talk {
        let id = self.send(kind, content);
        let seen = self.until_idle(&id);
        let reply = self.reply(kind, &id);
        Talk { seen, reply }
    }

    /// The same on the control channel.
    pub(super) fn command(&mut self, kind: &str, content: &Value) -> Talk {
        let id = self.send_command(kind, content);
        let seen = self.until_idle(&id);
        let reply = self.command_reply(kind, &id);
        Talk { seen, reply }
    }

    /// Runs a cell.
    pub(super) fn run(&mut self, code: &str) -> Talk {
        self.ask("execute_request", &cell(code))
    }

    /// Sends a request on the shell channel; its identifier.
    pub(super) fn send(&mut self, kind: &str, content: &Value) -> String {
        let (id, frames) = self.frames(kind, content, KEY);
        self.runtime.block_on(self.shell.send(frames)).unwrap();
        id
    }

    /// Sends a request on the control channel; its identifier.
    pub(super) fn send_command(&mut self, kind: &str, content: &Value) -> String {
        let (id, frames) = self.frames(kind, content, KEY);
        self.runtime.block_on(self.control.send(frames)).unwrap();
        id
    }

    /// Sends something that is not what it should be.
    pub(super) fn send_frames(&mut self, frames: Vec<Vec<u8>>) {
        self.runtime
            .block_on(self.shell.send(message(frames)))
            .unwrap();
    }

    /// Sends a request that is signed with another key.
    pub(super) fn send_forged(&mut self, kind: &str, content: &Value) {
        let (_, frames) = self.frames(kind, content, "another key");
        self.runtime.block_on(self.shell.send(frames)).unwrap();
    }

    /// What the cell asks the user, and the answer to it.
    pub(super) fn answer(&mut self, value: &str) -> Value {
        let question = read(&self.runtime, &mut self.stdin, "stdin");
        assert_eq!(question.kind, "input_request");
        let (_, frames) = self.frames("input_reply", &json!({"value": value}), KEY);
        self.runtime.block_on(self.stdin.send(frames)).unwrap();
        question.content
    }

    /// The reply to request `id` on the shell channel.
    pub(super) fn reply(&mut self, kind: &str, id: &str) -> Value {
        let reply = read(&self.runtime, &mut self.shell, "shell");
        assert_eq!(
            (reply.kind, reply.parent.as_str()),
            (kind.replace("_request", "_reply"), id)
        );
        reply.content
    }

    /// The reply to request `id` on the control channel.
    pub(super) fn command_reply(&mut self, kind: &str, id: &str) -> Value {
        let reply = read(&self.runtime, &mut self.control, "control");
        assert_eq!(
            (reply.kind, reply.parent.as_str()),
            (kind.replace("_request", "_reply"), id)
        );
        reply.content
    }

    /// The next message that everybody sees.
    pub(super) fn published(&mut self) -> Message {
        read(&self.runtime, &mut self.iopub, "iopub")
    }

    /// What everybody sees because of request `id`, until the kernel is idle.
    pub(super) fn until_idle(&mut self, id: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "status idle") {
            let message = self.published();
            assert_eq!(message.parent, id, "{message:?}");
            seen.push(line(&message));
        }
        seen
    }

    /// Whether what is sent to the heartbeat comes back.
    pub(super) fn beats(&mut self) -> bool {
        let beat = b"any bytes \0\xff".to_vec();
        let came = self.runtime.block_on(async {
            self.heartbeat
                .send(ZmqMessage::from(beat.clone()))
                .await
                .unwrap();
            tokio::time::timeout(PATIENCE, self.heartbeat.recv())
                .await
                .unwrap()
                .unwrap()
        });
        Vec::<u8>::try_from(came).unwrap() == beat
    }

    /// Ends the kernel and makes sure that it has nothing more to say.
    pub(super) fn leave(mut self) {
        let talk = self.command("shutdown_request", &json!({"restart": false}));
        assert_eq!(talk.reply, json!({"status": "ok", "restart": false}));
        assert_eq!(talk.seen, ["status busy", "status idle"]);
        let status = self.kernel.wait();
        assert!(status.success(), "{status}");
        for (name, socket) in [
            ("shell", &mut self.shell),
            ("control", &mut self.control),
            ("stdin", &mut self.stdin),
        ] {
            let unread = self
                .runtime
                .block_on(async { tokio::time::timeout(SILENCE, socket.recv()).await });
            assert!(!matches!(unread, Ok(Ok(_))), "unread on {name}: {unread:?}");
        }
        let unread = self
            .runtime
            .block_on(async { tokio::time::timeout(SILENCE, self.iopub.recv()).await });
        assert!(!matches!(unread, Ok(Ok(_))), "unread on iopub: {unread:?}");
    }

    /// Ends the kernel in the middle of whatever it does.
    pub(super) fn leave_at_once(mut self) {
        self.send_command("shutdown_request", &json!({"restart": true}));
        let status = self.kernel.wait();
        assert!(status.success(), "{status}");
    }

    fn frames(&mut self, kind: &str, content: &Value, key: &str) -> (String, ZmqMessage) {
        self.count += 1;
        let id = format!("{kind}-{}", self.count);
        let header = json!({
            "msg_id": id, "session": "tests", "username": "tests", "date": "2026-01-01T00:00:00Z",
            "msg_type": kind, "version": "5.4",
        });
        let parts = [
            header.to_string(),
            "{}".to_owned(),
            "{}".to_owned(),
            content.to_string(),
        ];
        let mut hash = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        for part in &parts {
            hash.update(part.as_bytes());
        }
        let mut frames = vec![
            "<IDS|MSG>".to_owned(),
            hex::encode(hash.finalize().into_bytes()),
        ];
        frames.extend(parts);
        (id, message(frames.into_iter().map(String::into_bytes)))
    }
}

/// The content of a request to run `code`.
pub(super) fn cell(code: &str) -> Value {
    json!({
        "code": code, "silent": false, "store_history": true, "user_expressions": {}, "allow_stdin": true,
        "stop_on_error": true,
    })
}

fn message(frames: impl IntoIterator<Item = Vec<u8>>) -> ZmqMessage {
    let mut frames = frames.into_iter();
    let mut message = ZmqMessage::from(frames.next().unwrap());
    frames.for_each(|frame| message.push_back(frame.into()));
    message
}

/// A message in one line; of a result the first words.
fn line(message: &Message) -> String {
    let content = &message.content;
    let text = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
    match message.kind.as_str() {
        "status" => format!("status {}", text("execution_state")),
        "execute_input" => format!(
            "execute_input {} {}",
            content["execution_count"],
            text("code")
        ),
        "stream" => format!("{} {}", text("name"), text("text").trim_end()),
        "error" => {
            assert!(
                !content["traceback"].as_array().unwrap().is_empty(),
                "{content}"
            );
            format!("error {}: {}", text("ename"), text("evalue"))
        }
        kind @ ("execute_result" | "display_data") => {
            assert!(
                content["metadata"].is_object() && content["transient"].is_object(),
                "{content}"
            );
            let plain = content["data"]["text/plain"].as_str().unwrap();
            let words: Vec<_> = plain
                .lines()
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .take(6)
                .collect();
            format!("{kind} {}", words.join(" "))
        }
        other => other.to_owned(),
    }
}

fn read(runtime: &Runtime, socket: &mut impl SocketRecv, name: &str) -> Message {
    let frames = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, socket.recv()).await })
        .unwrap_or_else(|_| panic!("nothing came on {name}"))
        .unwrap()
        .into_vec();
    let at = frames
        .iter()
        .position(|frame| frame.as_ref() == b"<IDS|MSG>")
        .unwrap();
    let parts = &frames[at + 2..];
    let mut hash = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    for part in &parts[..4] {
        hash.update(part);
    }
    assert_eq!(
        frames[at + 1],
        hex::encode(hash.finalize().into_bytes()),
        "the signature"
    );
    let part = |n: usize| serde_json::from_slice::<Value>(&parts[n]).unwrap();
    let (header, parent) = (part(0), part(1));
    for name in [
        "msg_id", "session", "username", "date", "msg_type", "version",
    ] {
        assert!(header[name].is_string(), "{header}");
    }
    Message {
        kind: header["msg_type"].as_str().unwrap().to_owned(),
        parent: parent["msg_id"].as_str().unwrap_or_default().to_owned(),
        content: part(3),
    }
}

/// Connects with our name, by which the kernel finds us on every channel.
async fn connect<S: Socket>(name: &str) -> S {
    let mut options = SocketOptions::default();
    options.peer_identity("tests".parse().unwrap());
    let mut socket = S::with_options(options);
    socket.connect(name).await.unwrap();
    socket
}
