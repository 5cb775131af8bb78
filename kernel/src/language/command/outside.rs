//! Commands that start other programs: cargo for crates, the shell.

use std::io::Read as _;
use std::process::{Command, Stdio};

use super::{Builder, Evaluator, Failure, Refusal, Sink, escape, plain, prelude};

impl Evaluator {
    pub(super) fn depend_on(&mut self, lines: &[&str], sink: &dyn Sink) -> Result<(), Failure> {
        let mut wanted = Vec::new();
        for line in lines {
            let name = line.split(['=', ' ']).next().unwrap_or_default();
            if prelude::HELD.contains(&name) {
                sink.stderr(&format!(
                    "`{name}` is in scope already: the prelude's own copy is used\n"
                ));
            } else {
                wanted.push(*line);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let shown = std::cell::Cell::new(false);
        let progress = |text: &str| {
            let mut bundle = plain(text.to_owned());
            bundle.insert(
                "text/html".to_owned(),
                format!("<code>{}</code>", escape(text)).into(),
            );
            sink.display(shown.replace(true), "dependencies", bundle);
        };
        let builder = Builder {
            cargo: &self.compiler.rustc.with_file_name("cargo"),
            rustc: &self.compiler.rustc,
            dir: &self.compiler.dir.join("dependencies"),
            work_dir: &self.work_dir,
            offline: self.offline,
            running: &self.shared.running,
            progress: &progress,
        };
        match self.dependencies.with(&wanted, &builder) {
            Ok(dependencies) => {
                self.dependencies = dependencies;
                if shown.get() {
                    progress(&format!("built {}", wanted.join(", ")));
                }
                Ok(())
            }
            Err(Refusal::Stopped) => Err(Failure::interrupted(
                "it was building a crate: all variables are kept",
            )),
            Err(Refusal::Unreadable(line)) => {
                let what = format!("`:dep {line}` names no crate");
                Err(Failure::new(
                    "Usage",
                    &what,
                    "as in `:dep regex = \"1\"`, or `:dep mine = { path = \"../mine\" }`",
                ))
            }
            Err(Refusal::Cargo(words)) => {
                let first = words
                    .lines()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or("cargo failed");
                let mut failure = Failure::new("DependencyError", first, "");
                failure.traceback.extend(words.lines().map(str::to_owned));
                Err(failure)
            }
        }
    }

    /// Runs a command of the shell, its output as it comes.
    pub(super) fn shell(&self, command: &str, sink: &dyn Sink) -> Result<(), Failure> {
        let refused = |error: std::io::Error| Failure::new("ShellError", &error.to_string(), "");
        let stopped =
            || Failure::interrupted("it ran a command of the shell: all variables are kept");
        let mut sh = Command::new("sh");
        sh.args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(&self.work_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let running = &self.shared.running;
        let mut process = running
            .spawn(&mut sh)
            .map_err(refused)?
            .ok_or_else(stopped)?;
        if let Some(mut out) = process.stdout.take() {
            let mut buffer = vec![0; 8 << 10];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                sink.stdout(&String::from_utf8_lossy(&buffer[..length]));
            }
        }
        let status = running.wait(&mut process).map_err(refused)?;
        if running.is_stopped() {
            return Err(stopped());
        }
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(
            "ShellError",
            &format!("`{command}` failed: {status}"),
            "",
        ))
    }
}
