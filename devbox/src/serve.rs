//! `serve`: a model for the whole house, behind the OpenAI API, until Ctrl-C.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::places::Places;
use crate::process::{self, Event};
use crate::say::Say;
use crate::{compile, doctor};

const MIB: u64 = 1 << 20;
/// Where the server finds keys beside its file of them.
const KEYS: &str = "MLK8S_WORKER_KEY";

/// Arguments of `serve`.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// The model: a directory, a `.gguf` file, or ORG/NAME of the hub
    model: String,
    /// Port to listen on
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// More arguments for the server, after `--`; `-- --help` lists them
    #[arg(last = true)]
    more: Vec<String>,
}

impl Serve {
    /// Builds the server and runs it.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        doctor::check(places, say)?;
        compile::programs(places, say)?;
        let mut command = process::clean_command(places.built("mlk8s-worker"));
        command
            .args(["serve", &self.model, "--port", &self.port.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .args(&self.more);
        if self
            .more
            .iter()
            .any(|word| word == "--help" || word == "-h")
        {
            return process::inherit(&mut command);
        }
        let key = key(&self.more);
        let mut failed = None;
        let status = process::watch(&mut command, Duration::from_secs(1), |event| match event {
            Event::Out(line) => failed = told(&line, &key, say).or(failed.take()),
            Event::Err(line) => say.line(&line),
            Event::Tick => {}
        })?;
        match failed {
            Some(why) => bail!(why),
            None if status.success() => Ok(()),
            None => bail!("the server ended ({status})"),
        }
    }
}

/// How a notebook says which key it has, where the server wants one.
fn key(more: &[String]) -> String {
    let wants = more.iter().any(|word| word.starts_with("--key-file"));
    if wants || std::env::var_os(KEYS).is_some() {
        " --key-file FILE-WITH-ONE-KEY".to_owned()
    } else {
        String::new()
    }
}

/// What others call this machine, where the server listens at all its addresses.
fn reachable(host: &str) -> String {
    if !matches!(host, "0.0.0.0" | "::") {
        return if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "THIS-MACHINE".to_owned(),
        name => name.to_owned(),
    }
}

/// Shows what the server says of itself; gives why it failed, if it says that. `key` is what a notebook must add.
fn told(line: &str, key: &str, say: &mut Say) -> Option<String> {
    let Ok(said) = serde_json::from_str::<Value>(line) else {
        say.line(line);
        return None;
    };
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    if let Some(loading) = said.get("loading") {
        let (done, total) = (number(&loading["done"]), number(&loading["total"]));
        say.status(&format!(
            "{} of {} MiB loaded",
            done / MIB,
            total.div_ceil(MIB)
        ));
    } else if let Some(ready) = said.get("ready") {
        let model = ready["model"].as_str().unwrap_or_default();
        let host = reachable(ready["host"].as_str().unwrap_or("127.0.0.1"));
        say.line(&format!(
            "`{model}` is served at http://{host}:{}/v1 until Ctrl-C",
            number(&ready["port"])
        ));
        say.line(&format!(
            "in a notebook: `%endpoint add house http://{host}:{}/v1 --model {model}{key}`",
            number(&ready["port"])
        ));
    } else if let Some(failed) = said.get("failed") {
        let text = |name: &str| failed[name].as_str().unwrap_or_default().to_owned();
        return Some(match text("hint").as_str() {
            "" => text("message"),
            hint => format!("{}\n hint: {hint}", text("message")),
        });
    } else if let Some(notice) = said.get("notice") {
        say.line(notice["message"].as_str().unwrap_or_default());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notebook_elsewhere_is_told_an_address_that_it_can_reach() {
        assert_eq!(reachable("127.0.0.1"), "127.0.0.1");
        assert_eq!(reachable("fd00::1"), "[fd00::1]");
        assert!(!["", "0.0.0.0", "::"].contains(&reachable("0.0.0.0").as_str()));
        let with_keys = ["--key-file".to_owned(), "keys".to_owned()];
        assert!(key(&with_keys).contains("--key-file"));
    }
}
