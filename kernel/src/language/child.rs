//! The process that runs Rust cells, as the kernel sees it: started, given commands, heard, ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use uuid::Uuid;

use super::hearing::{self, Heard, Source};
use super::prelude::Prelude;

/// The program that runs cells; it lies beside the prelude.
const PROGRAM: &str = "mlk8s-cells";
/// Where the process finds us; the prelude reads it.
const SOCKET: &str = "MLK8S_CHILD_SOCKET";
/// Pieces of output that may wait to be shown; then whoever writes waits, too.
const PIECES: usize = 64;
/// How long the process may take to call back.
const START: Duration = Duration::from_secs(30);
/// Words of names of environment variables that cells have no business with.
const SECRET_WORDS: [&str; 5] = ["KEY", "KEYS", "APIKEY", "TOKEN", "TOKENS"];
/// Parts of such names, wherever they stand.
const SECRET_PARTS: [&str; 4] = ["SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];
/// Whole names of that sort.
const SECRETS: [&str; 3] = ["MLK8S_LEDGER", "DATABASE_URL", "PGPASSFILE"];

/// The running process.
pub(super) struct Child {
    process: Process,
    commands: UnixStream,
    pub(super) heard: Receiver<(Source, Heard)>,
    /// Keeps standard input open while nobody types.
    typing: Option<File>,
    dir: PathBuf,
}

impl Child {
    /// Starts the process; its files are in `dir`.
    pub(super) fn start(
        prelude: &Prelude,
        library_path: &OsString,
        dir: &Path,
        work_dir: &Path,
    ) -> io::Result<Child> {
        std::fs::create_dir_all(dir)?;
        let socket = dir.join("child");
        // One of an earlier process.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let (input, typing) = input_file(&dir.join("input"))?;
        let mut command = Command::new(prelude.dir().join(PROGRAM));
        command
            .current_dir(work_dir)
            .env(SOCKET, &socket)
            .env("LD_LIBRARY_PATH", library_path)
            // Crates look at it to find out whether they are in a notebook.
            .env("EVCXR_IS_RUNTIME", "1")
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, _) in std::env::vars_os() {
            if is_secret(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        let mut process = command.spawn()?;
        let commands = match accept(&listener, &mut process) {
            Ok(commands) => commands,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(error);
            }
        };
        let token = Uuid::new_v4().simple().to_string();
        writeln!(&commands, "{token}")?;
        let (pieces, heard) = bounded(PIECES);
        if let (Some(out), Some(err)) = (process.stdout.take(), process.stderr.take()) {
            hearing::listen(Source::Stdout, out, &token, pieces.clone());
            hearing::listen(Source::Stderr, err, &token, pieces.clone());
        }
        listen_to_events(commands.try_clone()?, pieces);
        Ok(Child {
            process,
            commands,
            heard,
            typing: Some(typing),
            dir: dir.to_owned(),
        })
    }

    /// A handle to speak to the process and to end it, for other threads.
    pub(super) fn remote(&self) -> io::Result<Remote> {
        Ok(Remote {
            id: self.process.id(),
            commands: self.commands.try_clone()?,
        })
    }

    /// Gives it a command.
    pub(super) fn tell(&self, command: &Value) -> io::Result<()> {
        write_line(&self.commands, command)
    }

    /// Types a line into its standard input.
    pub(super) fn type_line(&mut self, text: &str) -> io::Result<()> {
        match &mut self.typing {
            Some(typing) => typing.write_all(format!("{text}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// Ends its standard input: whoever reads it sees that nothing more comes.
    pub(super) fn end_input(&mut self) {
        self.typing = None;
    }

    /// Opens standard input again after [`Child::end_input`].
    pub(super) fn open_input(&mut self) {
        if self.typing.is_none() {
            self.typing = open_for_typing(&self.dir.join("input")).ok();
        }
    }

    /// Whether one of its threads waits for standard input: system call `read` of descriptor 0, see proc(5).
    pub(super) fn waits_for_input(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.process.id());
        let tasks = std::fs::read_dir(tasks).into_iter().flatten().flatten();
        tasks.into_iter().any(|task| {
            std::fs::read_to_string(task.path().join("syscall"))
                .is_ok_and(|call| is_read_of_stdin(&call))
        })
    }

    /// Ends it, with whatever it has started, and says how it ended.
    pub(super) fn end(mut self) -> Option<ExitStatus> {
        kill_group(self.process.id());
        self.process.wait().ok()
    }
}

/// What other threads need of the process.
pub(super) struct Remote {
    id: u32,
    commands: UnixStream,
}

impl Remote {
    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Asks the cell to stop.
    pub(super) fn interrupt(&self) {
        // A process that has just ended has stopped.
        let _ = write_line(&self.commands, &json!({ "command": "interrupt" }));
    }

    /// Ends the process.
    pub(super) fn kill(&self) {
        kill_group(self.id);
    }
}

pub(super) fn kill_group(id: u32) {
    // It may have ended by itself.
    let _ = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
}

fn write_line(mut stream: &UnixStream, command: &Value) -> io::Result<()> {
    stream.write_all(format!("{command}\n").as_bytes())
}

fn accept(listener: &UnixListener, process: &mut Process) -> io::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let begun = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if let Some(status) = process.try_wait()? {
            let mut said = String::new();
            if let Some(stream) = process.stderr.as_mut() {
                // What it said is an extra.
                let _ = io::Read::read_to_string(stream, &mut said);
            }
            return Err(io::Error::other(format!(
                "it ended at once ({status}): {}",
                said.trim()
            )));
        }
        if begun.elapsed() > START {
            return Err(io::Error::other("it does not answer"));
        }
        pause();
    }
}

/// Waits a moment for another process; there is nothing to be woken by.
pub(super) fn pause() {
    let (_keep, never) = bounded::<()>(0);
    let _ = never.recv_timeout(Duration::from_millis(2));
}

/// A file that stands for a keyboard: a reader waits while we hold it open for writing.
fn input_file(path: &Path) -> io::Result<(Stdio, File)> {
    // One of an earlier process.
    let _ = std::fs::remove_file(path);
    nix::unistd::mkfifo(
        path,
        nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
    )?;
    // Opening one end alone would wait for the other.
    let both = File::options().read(true).write(true).open(path)?;
    let reading = File::open(path)?;
    let typing = open_for_typing(path)?;
    drop(both);
    Ok((reading.into(), typing))
}

fn open_for_typing(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)
}

fn listen_to_events(stream: UnixStream, pieces: Sender<(Source, Heard)>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Ok(event) = serde_json::from_str(&line) else {
                continue;
            };
            if pieces.send((Source::Events, Heard::Event(event))).is_err() {
                return;
            }
        }
        // Whoever listens may have gone first.
        let _ = pieces.send((Source::Events, Heard::Closed));
    });
}

fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    SECRETS.contains(&name.as_str())
        || name.split('_').any(|word| SECRET_WORDS.contains(&word))
        || SECRET_PARTS.iter().any(|part| name.contains(part))
}

fn is_read_of_stdin(call: &str) -> bool {
    let number = if cfg!(target_arch = "x86_64") {
        "0"
    } else {
        "63"
    };
    let mut words = call.split(' ');
    words.next() == Some(number) && words.next() == Some("0x0")
}

/// Why a process ended, in words.
pub(super) fn cause(status: Option<ExitStatus>, last_words: &str, out_of_memory: bool) -> String {
    let Some(status) = status else {
        return "it is gone".to_owned();
    };
    match (status.signal(), status.code()) {
        (Some(9), _) if out_of_memory => "out of memory".to_owned(),
        (Some(9), _) => "killed".to_owned(),
        (Some(_), _) if last_words.contains("has overflowed its stack") => {
            "stack overflow".to_owned()
        }
        (Some(6), _) if last_words.contains("memory allocation of") => "out of memory".to_owned(),
        (Some(6), _) => "abort".to_owned(),
        (Some(11), _) => "segmentation fault".to_owned(),
        (Some(signal), _) => {
            let name = Signal::try_from(signal).map_or("unknown", Signal::as_str);
            format!("signal {signal} ({name})")
        }
        (None, code) => format!("exit code {}", code.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_other_variables() {
        for name in [
            "OPENAI_API_KEY",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "PGPASSWORD",
            "MLK8S_LEDGER",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "KEYBOARD", "MLK8S_STATE", "TOKENIZERS_PARALLELISM"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_reader_of_standard_input_is_recognised() {
        assert!(is_read_of_stdin(
            "0 0x0 0x7ffd 0x1000 0x0 0x0 0x0 0x7ffd 0x7f11"
        ));
        assert!(!is_read_of_stdin("0 0x3 0x7ffd 0x1000"));
        assert!(!is_read_of_stdin("running"));
    }

    #[test]
    fn causes_are_named() {
        let status = |raw| Some(ExitStatus::from_raw(raw));
        assert_eq!(cause(status(11), "", false), "segmentation fault");
        assert_eq!(
            cause(status(6), "thread 'cell' has overflowed its stack", false),
            "stack overflow"
        );
        assert_eq!(cause(status(9), "", true), "out of memory");
        assert_eq!(cause(status(3 << 8), "", false), "exit code 3");
    }
}
