//! The worker as its supervisor sees it: lines of JSON, a port, signals, an exit code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlk8s_engine::{Encoder, Unwatched};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::tiny;

/// A worker and its lines.
struct Worker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Worker {
    fn start(model: &Path, arguments: &[&str]) -> Worker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mlk8s-worker"))
            .arg("serve")
            .arg(model)
            .args([
                "--parent",
                &std::process::id().to_string(),
                "--threads",
                "1",
            ])
            .args(arguments)
            .env_remove("MLK8S_WORKER_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Worker { child, lines }
    }

    /// The next line; `None` when there are no more.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    /// What the last line says under `name`; before it there is progress only.
    fn last(&mut self, name: &str) -> Value {
        loop {
            let line = self
                .line()
                .unwrap_or_else(|| panic!("no line with `{name}`"));
            if line[name].is_object() {
                return line[name].clone();
            }
            assert!(
                line["listening"].is_object() || line["loading"].is_object(),
                "{line}"
            );
        }
    }

    fn exit(mut self) -> i32 {
        assert_eq!(self.line(), None, "after the last line there is another");
        self.child.wait().unwrap().code().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

fn ask(port: u64, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port.try_into().unwrap())).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: \
         {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (
        head[9..12].parse().unwrap(),
        serde_json::from_str(body).unwrap(),
    )
}

#[test]
fn an_encoder_is_served_until_sigterm() {
    let model = tiny::bert();
    let ready_file = model.path().join("ready.json");
    let mut worker = Worker::start(
        model.path(),
        &[
            "--name",
            "tiny",
            "--ready-file",
            ready_file.to_str().unwrap(),
        ],
    );
    let listening = worker.line().unwrap()["listening"].clone();
    let ready = worker.last("ready");
    let port = ready["port"].as_u64().unwrap();
    assert_eq!(listening["port"], port);
    assert_eq!(ready["pid"], worker.child.id());
    assert_eq!(
        (&ready["model"], &ready["kind"]),
        (&json!("tiny"), &json!("embedding"))
    );
    assert_eq!(ready["summary"]["n_dims"], tiny::WIDTH);
    let written: Value = serde_json::from_slice(&std::fs::read(ready_file).unwrap()).unwrap();
    assert_eq!(written["ready"], ready);
    assert_eq!(ask(port, "GET", "/health", "").0, 200);

    let texts = ["a b c", "zebra", ""];
    let wanted = Encoder::load(model.path())
        .unwrap()
        .encode(&texts, &Unwatched)
        .unwrap();
    let body = json!({ "model": "tiny", "input": texts, "service_tier": "flex" }).to_string();
    let (status, answer) = ask(port, "POST", "/v1/embeddings", &body);
    assert_eq!(status, 200);
    assert_eq!(answer["usage"]["prompt_tokens"], wanted.n_tokens);
    for (index, row) in wanted.rows().enumerate() {
        let found: Vec<f64> =
            serde_json::from_value(answer["data"][index]["embedding"].clone()).unwrap();
        assert!(
            found
                .iter()
                .zip(row)
                .all(|(a, b)| (a - f64::from(*b)).abs() < 1e-6),
            "{found:?} {row:?}"
        );
    }
    let tokens = ask(port, "POST", "/v1/embeddings", r#"{ "input": [1, 2] }"#);
    assert_eq!(
        (tokens.0, &tokens.1["error"]["param"]),
        (400, &json!("input"))
    );
    let cut = ask(
        port,
        "POST",
        "/v1/embeddings",
        &json!({ "input": "a ".repeat(90) }).to_string(),
    );
    assert_eq!((cut.0, &cut.1["truncated"]), (200, &json!(1)));
    let chat = r#"{ "messages": [{ "role": "user", "content": "hi" }] }"#;
    let chat = ask(port, "POST", "/v1/chat/completions", chat);
    assert_eq!((chat.0, &chat.1["error"]["param"]), (400, &json!("model")));

    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit(), 0);
}

/// PNG files, a gradient and a wide one in two colours.
const PICTURES: [&str; 2] = [
    "iVBORw0KGgoAAAANSUhEUgAAAAwAAAAMCAIAAADZF8uwAAAA4UlEQVR42g3KQQEAUQRAwR9CCCGEcH5nIYQQQgghhBBmd87z3kMe+rCHP+KRj3r0Yx77uMd7gggqmOBCCCmU0MIIK5z8SRFFFVNcCSWVUloZZZXTPxliqGGGG2GkUUYbY6xx9idHHHXMcSecdMppZ5x1zv8USKCBBR5EkEEFHUywwcWfEkk0scSTSDKppJNJNrn8UyGFFlZ4EUUWVXQxxRZXf2qk0cYab6LJpppuptnm+k+DDDrY4EMMOdTQwww73PxpkUUXW3yJJZdaeplll9s/HXLoYYcfceRRRx9z7HHHB1larmE4V9OTAAAAAElFTkSuQmCC",
    "iVBORw0KGgoAAAANSUhEUgAAABQAAAAMCAIAAADtbgqsAAAAGUlEQVR42mP4z8CAB+GV/M8wqnlU8+DVDADft+8R6EdHoQAAAABJRU5ErkJggg==",
];

/// Embeds `input`.
fn embed(port: u64, input: &Value) -> (u16, Value) {
    let body = json!({ "input": input }).to_string();
    ask(port, "POST", "/v1/embeddings", &body)
}

#[test]
fn pictures_are_embedded_beside_texts() {
    let model = tiny::clip();
    let mut worker = Worker::start(model.path(), &[]);
    let ready = worker.last("ready");
    assert_eq!(ready["summary"]["images"], true);
    let port = ready["port"].as_u64().unwrap();

    let encoder = Encoder::load(model.path()).unwrap();
    let files = PICTURES.map(|picture| STANDARD.decode(picture).unwrap());
    let pictures = encoder.encode_pictures(&files, &Unwatched).unwrap();
    let texts = encoder.encode(&["a b", "c"], &Unwatched).unwrap();
    let [first, second] = PICTURES.map(|picture| format!("data:image/png;base64,{picture}"));
    // More than are decoded at a time, and the last ones among texts.
    let mut input = vec![json!({ "image": first }); 20];
    input.extend([
        json!("a b"),
        json!({ "image": second }),
        json!({ "text": "c" }),
    ]);
    let (status, answer) = embed(port, &json!(input));
    assert_eq!(status, 200, "{answer}");
    let wanted = std::iter::repeat_n(pictures.row(0), 20).chain([
        texts.row(0),
        pictures.row(1),
        texts.row(1),
    ]);
    for (index, row) in wanted.enumerate() {
        let found = &answer["data"][index]["embedding"];
        let found: Vec<f32> = serde_json::from_value(found.clone()).unwrap();
        assert!(
            found.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-6),
            "{index}: {found:?} {row:?}"
        );
    }
    let patches = u64::from(tiny::SIDE / 4).pow(2) + 1;
    assert_eq!(
        answer["usage"]["prompt_tokens"],
        21 * patches + texts.n_tokens
    );

    // A broken one is named by its number among all.
    input[19] = json!({ "image": &PICTURES[0][..40] });
    let (status, refused) = embed(port, &json!(input));
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("input[19].image"))
    );
    let remote = embed(port, &json!([{ "image": "http://a.example/b.png" }]));
    assert_eq!(
        (remote.0, &remote.1["error"]["code"]),
        (400, &json!("unsupported_parameter"))
    );
    assert_eq!(embed(port, &json!([{ "image": first }])).0, 200);
}

#[test]
fn a_model_of_texts_does_not_see_pictures() {
    let model = tiny::bert();
    let mut worker = Worker::start(model.path(), &[]);
    let port = worker.last("ready")["port"].as_u64().unwrap();
    let input = json!(["a", { "image": PICTURES[0] }]);
    let (status, refused) = embed(port, &input);
    assert_eq!(
        (status, &refused["error"]["param"]),
        (400, &json!("input[1].image"))
    );
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("CLIP"), "{message}");
}

#[test]
fn what_keeps_it_from_serving_is_told_with_a_hint() {
    let empty = tempfile::tempdir().unwrap();
    let model = tiny::bert();
    std::fs::write(model.path().join("no-keys"), "# none\n").unwrap();
    let no_keys = model.path().join("no-keys");
    let odd = tempfile::tempdir().unwrap();
    std::fs::write(odd.path().join("config.json"), r#"{ "model_type": "odd" }"#).unwrap();
    let cases: [(&Path, &[&str], &str); 5] = [
        (empty.path(), &[], "no model at"),
        (odd.path(), &["--device", "cpu"], "is not supported"),
        (
            model.path(),
            &["--host", "0.0.0.0"],
            "reachable from other machines",
        ),
        (
            model.path(),
            &["--key-file", no_keys.to_str().unwrap()],
            "there is no key",
        ),
        (model.path(), &["--base-path", "/a b"], "base path"),
    ];
    for (path, arguments, message) in cases {
        let mut worker = Worker::start(path, arguments);
        let failed = worker.last("failed");
        assert!(
            failed["message"].as_str().unwrap().contains(message),
            "{failed}"
        );
        assert!(failed["hint"].is_string(), "{failed}");
        assert_eq!(worker.exit(), 1);
    }
}

#[test]
fn it_ends_when_nobody_has_asked_for_a_while() {
    let model = tiny::bert();
    let mut worker = Worker::start(model.path(), &["--idle", "1"]);
    worker.last("ready");
    assert_eq!(worker.exit(), 0);
}

#[test]
fn it_does_not_outlive_its_parent() {
    let model = tiny::bert();
    let mut worker = Worker::start(model.path(), &[]);
    worker.last("ready");
    drop(worker.child.stdin.take());
    assert_eq!(worker.exit(), 1);
    // Without the pipe, the number of the process tells.
    let mut parent = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlk8s-worker"))
        .arg("serve")
        .arg(model.path())
        .args(["--parent", &parent.id().to_string(), "--threads", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut worker = Worker { child, lines };
    worker.last("ready");
    parent.kill().unwrap();
    assert_eq!(worker.exit(), 1);
    parent.wait().unwrap();
}
