//! HTTP/1.1 over a socket, with or without TLS, one thread a connection.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::pods;
use super::verbs;
use super::world::{Fault, World};

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What is answered at once.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    /// Text of headers `Warning`.
    pub(crate) warnings: Vec<String>,
}

/// A connection of either kind.
pub(crate) trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// Answers what comes over `stream` until it ends.
pub(crate) fn serve(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    world: &Mutex<World>,
) {
    let wire: Box<dyn Wire> = match tls {
        None => Box::new(stream),
        Some(config) => {
            let connection = rustls::ServerConnection::new(config).unwrap();
            Box::new(rustls::StreamOwned::new(connection, stream))
        }
    };
    let mut wire = BufReader::new(wire);
    while let Some((line, request)) = read(&mut wire) {
        let fault = {
            let mut world = world.lock().unwrap();
            world.asked.push(line.clone());
            world.fault(&line)
        };
        match fault {
            // The client gives up first; the socket closes with the process of the test.
            Some(Fault::Hang) => loop {
                std::thread::park();
            },
            Some(Fault::Close) => return,
            Some(Fault::Status(code, said)) => {
                send(&mut wire, &status(code, "InternalError", &said));
            }
            Some(Fault::Busy(seconds)) => busy(&mut wire, seconds),
            None => {
                if pods::streams(&request) {
                    return pods::stream(wire, &request, world);
                }
                let answer = world.lock().unwrap().answer(&request);
                send(&mut wire, &answer);
            }
        }
    }
}

impl World {
    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(token) = self.token
            && request.header("authorization") != Some(&format!("Bearer {token}"))
        {
            return status(401, "Unauthorized", "Unauthorized");
        }
        verbs::answer(self, request)
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// An object of kind Status, as Kubernetes answers where something fails.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    Answer {
        code,
        body,
        warnings: Vec::new(),
    }
}

/// A request and its first line; nothing when the connection has ended.
fn read(wire: &mut BufReader<Box<dyn Wire>>) -> Option<(String, Request)> {
    let mut line = String::new();
    if wire.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        wire.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    wire.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plain(name), plain(value))
    };
    let request = Request {
        path: path.trim_matches('/').split('/').map(plain).collect(),
        query: query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(pair)
            .collect(),
        method: method.clone(),
        headers,
        body,
    };
    Some((format!("{method} {target}"), request))
}

/// Text without percent signs and pluses.
fn plain(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(out).unwrap()
}

/// What is said where too much is asked at once: not an object, and a header that says how long to wait.
fn busy(wire: &mut BufReader<Box<dyn Wire>>, seconds: u32) {
    let body = "Too many requests, please try again later.\n";
    let wire = wire.get_mut();
    let _ = write!(
        wire,
        "HTTP/1.1 429 X\r\ncontent-type: text/plain\r\nretry-after: {seconds}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = wire.flush();
}

fn send(wire: &mut BufReader<Box<dyn Wire>>, answer: &Answer) {
    let body = answer.body.to_string();
    let warning = |text: &String| format!("warning: 299 - {}\r\n", json!(text));
    let warnings: String = answer.warnings.iter().map(warning).collect();
    let wire = wire.get_mut();
    // A client that has gone is no concern of the server.
    let _ = write!(
        wire,
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n{warnings}content-length: {}\r\n\r\n{body}",
        answer.code,
        body.len()
    );
    let _ = wire.flush();
}
