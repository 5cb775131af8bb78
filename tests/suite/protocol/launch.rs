//! Starts the kernel as Jupyter does: a connection file, then the program.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::json;

/// What messages are signed with.
pub(super) const KEY: &str = "0f2a-key-of-the-tests";

/// How the sockets are named.
#[derive(Clone, Copy)]
pub(super) enum Transport {
    Tcp,
    Ipc,
}

/// The process; ended when a test fails.
pub(super) struct Running(Child);

impl Running {
    /// Waits until it has ended.
    pub(super) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a test that went well it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes a connection file into `dir`; the file, and its ports for shell, control, stdin, iopub, heartbeat.
pub(super) fn connection_file(dir: &Path, transport: Transport) -> (PathBuf, Vec<u16>) {
    let (name, ip, ports) = match transport {
        Transport::Tcp => ("tcp", "127.0.0.1".to_owned(), free_ports()),
        Transport::Ipc => (
            "ipc",
            dir.join("socket").display().to_string(),
            (1..6).collect(),
        ),
    };
    let connection = json!({
        "transport": name, "ip": ip, "key": KEY, "signature_scheme": "hmac-sha256",
        "shell_port": ports[0], "control_port": ports[1], "stdin_port": ports[2], "iopub_port": ports[3],
        "hb_port": ports[4],
    });
    let file = dir.join("connection.json");
    std::fs::write(&file, connection.to_string()).unwrap();
    (file, ports)
}

fn free_ports() -> Vec<u16> {
    let held: Vec<_> = (0..5)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect()
}

/// Starts the kernel in `dir`.
pub(super) fn spawn(dir: &Path, connection_file: &Path) -> Running {
    let suite = std::env::current_exe().unwrap();
    let program = suite.ancestors().nth(2).unwrap().join("mlk8s-kernel");
    assert!(
        program.exists(),
        "`{}` is not built: `cargo build` first",
        program.display()
    );
    let child = Command::new(program)
        .arg("--connection-file")
        .arg(connection_file)
        .current_dir(dir)
        .env("MLK8S_STATE", dir.join("state"))
        .env_remove("JPY_PARENT_PID")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}
