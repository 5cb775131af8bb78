//! `serve`: a model for the whole house, behind the OpenAI API, until Ctrl-C.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::places::Places;
use crate::process::{self, Event};
use crate::say::Say;
use crate::{compile, doctor};

const MIB: u64 = 1 << 20;

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
        let mut failed = None;
        let status = process::watch(&mut command, Duration::from_secs(1), |event| match event {
            Event::Out(line) => failed = told(&line, say).or(failed.take()),
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

/// Shows what the server says of itself; gives why it failed, if it says that.
fn told(line: &str, say: &mut Say) -> Option<String> {
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
        let host = ready["host"].as_str().unwrap_or("127.0.0.1");
        say.line(&format!(
            "`{model}` is served at http://{host}:{}/v1 until Ctrl-C",
            number(&ready["port"])
        ));
        say.line(&format!(
            "in a notebook: `%endpoint add house http://{host}:{}/v1 --model {model}`",
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
