//! Pods of the stand-in: how those of jobs go, what they write, and ports that are forwarded to them.

use std::io::{BufReader, Write as _};
use std::sync::Mutex;

use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket};

use super::admission::violation;
use super::transport::{Request, Wire};
use super::verbs::refusal;
use super::world::World;

/// Whether `request` is answered by a stream.
pub(crate) fn streams(request: &Request) -> bool {
    matches!(
        request.path.last().map(String::as_str),
        Some("log" | "portforward")
    ) && request.path.len() == 7
}

pub(crate) fn stream(wire: BufReader<Box<dyn Wire>>, request: &Request, world: &Mutex<World>) {
    let (namespace, name) = (request.path[3].as_str(), request.path[5].as_str());
    if request.path[6] == "log" {
        return log(wire.into_inner(), request, world, namespace, name);
    }
    forward(wire.into_inner(), request);
}

/// Makes the pod of a new job, if the namespace takes it; if not, there is an event that says so.
pub(crate) fn begin(world: &mut World, namespace: &str, job: &str) {
    let owner = world.get("jobs", namespace, job).unwrap().clone();
    let spec = &owner["spec"]["template"]["spec"];
    if let Some(broken) = violation(world, namespace, "enforce", spec) {
        world.put(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": job, "namespace": namespace},
            "involvedObject": {"kind": "Job", "name": job}, "type": "Warning", "reason": "FailedCreate",
            "message": format!("Error creating: pods \"{job}-x7k2p\" is forbidden: {broken}")}));
        return;
    }
    let mut labels = owner["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_null() {
        labels = json!({});
    }
    labels["job-name"] = json!(job);
    labels["batch.kubernetes.io/job-name"] = json!(job);
    world.put(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{job}-x7k2p"), "namespace": namespace, "labels": labels, "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": owner["metadata"]["uid"], "controller": true}]},
        "spec": owner["spec"]["template"]["spec"],
        "status": {"phase": "Pending"}}));
}

/// Moves a job on by one step, as time would: no pod yet, running, ended.
pub(crate) fn go_on(world: &mut World, namespace: &str, job: &str) {
    let Some(mut object) = world.get("jobs", namespace, job).cloned() else {
        return;
    };
    let name = format!("{job}-x7k2p");
    let Some(mut pod) = world.get("pods", namespace, &name).cloned() else {
        return;
    };
    let step = object["metadata"]["annotations"]["stand-in/step"]
        .as_str()
        .unwrap_or("0")
        .parse::<u32>()
        .unwrap()
        + 1;
    object["metadata"]["annotations"]["stand-in/step"] = json!(step.to_string());
    let script = world.job.clone();
    if let Some(why) = &script.stuck {
        pod["status"] = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}]});
        object["status"] = json!({"active": 1});
    } else if step >= 4 {
        let (phase, kind) = if script.code == 0 {
            ("Succeeded", "Complete")
        } else {
            ("Failed", "Failed")
        };
        pod["status"] = json!({"phase": phase, "containerStatuses": [{"name": "notebook", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": script.code, "reason": "Error"}}}]});
        object["status"] = json!({"conditions": [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit"}]});
    } else if step >= 2 {
        pod["spec"]["nodeName"] = json!("rig4");
        pod["status"] = json!({"phase": "Running"});
        object["status"] = json!({"active": 1});
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let lines = script
            .lines
            .iter()
            .map(|line| line.replace("{uid}", uid))
            .collect();
        world.logs.insert(name, lines);
    }
    world.put(pod);
    world.put(object);
}

fn plain(wire: &mut Box<dyn Wire>, code: u16, body: &Value) {
    let body = body.to_string();
    let _ = write!(
        wire,
        "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = wire.flush();
}

fn log(
    mut wire: Box<dyn Wire>,
    request: &Request,
    world: &Mutex<World>,
    namespace: &str,
    name: &str,
) {
    let world = world.lock().unwrap();
    let denied = world
        .forbidden
        .iter()
        .any(|(verb, plural, _)| *verb == "get" && plural == "pods/log");
    if denied {
        let refused = refusal("get", "", "pods/log", Some(namespace));
        return plain(&mut wire, refused.code, &refused.body);
    }
    let lines = world.logs.get(name).cloned();
    drop(world);
    let Some(lines) = lines else {
        let body = json!({"kind": "Status", "status": "Failure", "reason": "BadRequest", "code": 400,
            "message": format!("container \"notebook\" in pod \"{name}\" is waiting to start: ContainerCreating")});
        return plain(&mut wire, 400, &body);
    };
    let since = request.query("sinceTime").unwrap_or_default().to_owned();
    let with_times = request.query("timestamps") == Some("true");
    let _ = write!(
        wire,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let time = format!(
            "2026-11-26T00:{:02}:{:02}.000000001Z",
            number / 60,
            number % 60
        );
        // The server cuts to the second, hence it says some lines again.
        if !since.is_empty() && time[..19] < since[..19] {
            continue;
        }
        let line = match line.as_str() {
            // The connection breaks here, once.
            "BREAK" if since.is_empty() && request.query("follow") == Some("true") => return,
            "BREAK" => continue,
            line if with_times => format!("{time} {line}\n"),
            line => format!("{line}\n"),
        };
        let _ = write!(wire, "{:x}\r\n{line}\r\n", line.len());
    }
    let _ = write!(wire, "0\r\n\r\n");
    let _ = wire.flush();
}

/// Forwards one port to a program that says everything back in capitals.
fn forward(mut wire: Box<dyn Wire>, request: &Request) {
    let key = tungstenite::handshake::derive_accept_key(
        request.header("sec-websocket-key").unwrap().as_bytes(),
    );
    let spoken = request.header("sec-websocket-protocol").unwrap();
    let protocol = spoken
        .split(',')
        .map(str::trim)
        .find(|one| *one == "v4.channel.k8s.io")
        .unwrap();
    let port: u16 = request.query("ports").unwrap().parse().unwrap();
    write!(
        wire,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {key}\r\n\
         sec-websocket-protocol: {protocol}\r\n\r\n"
    )
    .unwrap();
    wire.flush().unwrap();
    let mut socket = WebSocket::from_raw_socket(wire, Role::Server, None);
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        socket
            .send(Message::Binary(vec![channel, low, high].into()))
            .unwrap();
    }
    while let Ok(message) = socket.read() {
        if let Message::Binary(bytes) = message
            && bytes.first() == Some(&0)
        {
            let mut back = vec![0];
            back.extend(bytes[1..].to_ascii_uppercase());
            socket.send(Message::Binary(back.into())).unwrap();
        }
    }
}
