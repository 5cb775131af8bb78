//! A hub for the tests: the real one's paths and headers, large files on another port, and everything that goes wrong.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::places::{Patience, Places};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Requests that came, and a bell for the next.
type Log = Arc<(Mutex<Vec<Seen>>, Condvar)>;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn from(&self) -> usize {
        let range = self
            .header("range")
            .and_then(|range| range.strip_prefix("bytes="));
        range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
    }
}

/// A server on a port of its own; every connection carries one request.
pub(crate) struct Server {
    pub(crate) address: String,
    log: Log,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    if let Some(request) = read(&stream) {
                        seen.0.lock().unwrap().push(request.clone());
                        seen.1.notify_all();
                        answer(&request, &mut stream);
                    }
                });
            }
        });
        Self { address, log }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.0.lock().unwrap().clone()
    }

    /// Waits until `n` requests as described have come.
    pub(crate) fn wait(log: &(Mutex<Vec<Seen>>, Condvar), n: usize, is_it: impl Fn(&Seen) -> bool) {
        let enough = |seen: &mut Vec<Seen>| seen.iter().filter(|seen| is_it(seen)).count() < n;
        let limit = Duration::from_mins(1);
        let (_guard, timeout) = log
            .1
            .wait_timeout_while(log.0.lock().unwrap(), limit, enough)
            .unwrap();
        assert!(!timeout.timed_out());
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    Some(Seen {
        method,
        path,
        headers,
    })
}

pub(crate) fn reply(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    // The client may be gone, which is what some tests are about.
    let _ = stream
        .write_all(format!("{head}\r\n").as_bytes())
        .and_then(|()| stream.write_all(body));
}

/// What goes wrong; each number counts down with every time that it does.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Bodies that break off in the middle.
    pub(crate) breaks: usize,
    /// Bodies that stop in the middle and stay open.
    pub(crate) hangs: usize,
    /// Requests to the hub that are answered so.
    pub(crate) refusals: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    /// Bodies with other bytes than were promised.
    pub(crate) lies: usize,
    /// Whether the files' server knows no ranges.
    pub(crate) has_no_ranges: bool,
    /// Large files wait until the hub was asked for one so often.
    pub(crate) crowd: usize,
}

/// A hub with one repository, `org/tiny`, which was called `org/old` once, and the server of its large files.
pub(crate) struct Loopback {
    pub(crate) hub: Server,
    pub(crate) cdn: Server,
    pub(crate) faults: Arc<Mutex<Faults>>,
}

type Contents = Arc<Vec<(String, Vec<u8>)>>;

impl Loopback {
    /// Files that end in `.json`, `.md` or `.jinja` lie at the hub, others elsewhere.
    pub(crate) fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let files: Contents = Arc::new(
            files
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()))
                .collect(),
        );
        let faults = Arc::new(Mutex::new(Faults::default()));
        let log: Arc<Mutex<Option<Log>>> = Arc::default();
        let (held, wrong, hub_log) = (Arc::clone(&files), Arc::clone(&faults), Arc::clone(&log));
        let cdn = Server::start(move |seen, stream| {
            let crowd = wrong.lock().unwrap().crowd;
            let log = hub_log.lock().unwrap().clone().unwrap();
            Server::wait(&log, crowd, |seen| {
                seen.method == "HEAD" && !is_small(&seen.path)
            });
            large(&held, &wrong, seen, stream);
        });
        let (elsewhere, wrong) = (cdn.address.clone(), Arc::clone(&faults));
        let hub = Server::start(move |seen, stream| hub(&files, &elsewhere, &wrong, seen, stream));
        *log.lock().unwrap() = Some(Arc::clone(&hub.log));
        Self { hub, cdn, faults }
    }

    /// Settings for this hub with a cache in `folder`, and little patience.
    pub(crate) fn places(&self, folder: &std::path::Path) -> Places {
        let variables = [
            ("HF_ENDPOINT", self.hub.address.clone()),
            ("HF_TOKEN", "hf_secret".to_owned()),
            ("HF_HOME", folder.display().to_string()),
        ];
        let mut places = Places::from_variables(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.clone())
        })
        .unwrap();
        places.patience = Patience {
            attempts: 4,
            pause: Duration::from_millis(1),
            silence: Duration::from_mins(1),
            longest: Duration::from_mins(1),
            is_watched: false,
        };
        places
    }

    /// Makes it answer at `address`, too.
    pub(crate) fn also_at(&self, address: std::net::SocketAddr) {
        let hub = self.hub.address.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            for asker in listener.incoming().flatten() {
                let hub = TcpStream::connect(&hub).unwrap();
                let ways = [(&asker, &hub), (&hub, &asker)].map(|(from, to)| {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    move || {
                        // Either may be gone.
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Write);
                    }
                });
                for way in ways {
                    std::thread::spawn(way);
                }
            }
        });
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.hub
            .seen()
            .into_iter()
            .map(|seen| format!("{} {}", seen.method, seen.path))
            .collect()
    }
}

fn is_small(name: &str) -> bool {
    [".json", ".md", ".jinja"]
        .iter()
        .any(|end| name.ends_with(end))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hub(
    files: &Contents,
    elsewhere: &str,
    faults: &Mutex<Faults>,
    seen: &Seen,
    stream: &mut TcpStream,
) {
    let refusal = faults.lock().unwrap().refusals.pop();
    if let Some((status, headers)) = refusal {
        return reply(stream, status, &headers, b"{\"error\":\"the hub says no\"}");
    }
    if let Some(rest) = seen.path.strip_prefix("/org/old/") {
        return reply(
            stream,
            "307 Temporary Redirect",
            &[("location", &format!("/org/tiny/{rest}"))],
            b"",
        );
    }
    if seen.path.starts_with("/api/models/org/tiny/revision/") {
        return reply(
            stream,
            "200 OK",
            &[("content-type", "application/json")],
            listing(files).as_bytes(),
        );
    }
    if seen.path.starts_with("/api/models/") {
        return reply(
            stream,
            "401 Unauthorized",
            &[("x-error-code", "RepoNotFound")],
            b"{}",
        );
    }
    let name = seen
        .path
        .strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/"));
    let Some((name, bytes)) = files.iter().find(|(file, _)| Some(file.as_str()) == name) else {
        return reply(
            stream,
            "404 Not Found",
            &[("x-error-code", "EntryNotFound")],
            b"",
        );
    };
    let digest = sha256(bytes);
    let etag = if is_small(name) {
        &digest[..40]
    } else {
        &digest
    };
    let (quoted, length) = (format!("\"{etag}\""), bytes.len().to_string());
    let commit = ("x-repo-commit", COMMIT);
    let body: &[u8] = if seen.method == "HEAD" { b"" } else { bytes };
    if is_small(name) {
        let headers = [
            commit,
            ("etag", &quoted),
            ("content-length", &length),
            ("accept-ranges", "bytes"),
        ];
        return reply(stream, "200 OK", &headers, body);
    }
    let location = format!("{elsewhere}/{name}?signature=1");
    let headers = [
        commit,
        ("x-linked-etag", &quoted),
        ("x-linked-size", &length),
        ("location", &location),
    ];
    reply(stream, "302 Found", &headers, b"");
}

fn listing(files: &Contents) -> String {
    let siblings = files.iter().map(|(name, bytes)| {
        let size = bytes.len();
        let lfs = if is_small(name) {
            String::new()
        } else {
            format!(
                ",\"lfs\":{{\"sha256\":\"{}\",\"size\":{size},\"pointerSize\":130}}",
                sha256(bytes)
            )
        };
        format!("{{\"rfilename\":\"{name}\",\"size\":{size}{lfs}}}")
    });
    let siblings: Vec<String> = siblings.collect();
    format!(
        "{{\"id\":\"org/tiny\",\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}",
        siblings.join(",")
    )
}

fn large(files: &Contents, faults: &Mutex<Faults>, seen: &Seen, stream: &mut TcpStream) {
    let name = seen.path.trim_start_matches('/').split('?').next().unwrap();
    let mut bytes = files
        .iter()
        .find(|(file, _)| file == name)
        .unwrap()
        .1
        .clone();
    let mut faults = faults.lock().unwrap();
    if faults.lies > 0 {
        faults.lies -= 1;
        bytes[0] ^= 1;
    }
    let from = if faults.has_no_ranges { 0 } else { seen.from() };
    let (breaks, hangs) = (faults.breaks > 0, faults.hangs > 0);
    faults.breaks = faults.breaks.saturating_sub(1);
    faults.hangs = faults.hangs.saturating_sub(1);
    drop(faults);
    let length = (bytes.len() - from).to_string();
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    let mut headers = vec![("content-length", length.as_str())];
    if from > 0 {
        headers.push(("content-range", &range));
    }
    let status = if from > 0 {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    let rest = &bytes[from..];
    let sent = if breaks || hangs {
        rest.len() / 2
    } else {
        rest.len()
    };
    reply(stream, status, &headers, &rest[..sent]);
    if hangs {
        // Until the client goes.
        let _ = stream.read(&mut [0]);
    }
}
