//! Lines that begin with `:` or `!`, before the Rust of a cell: evcxr's commands, and the shell's.

mod lists;
mod outside;

use std::process::Command;

use serde_json::{Map, Value, json};

use super::Sink;
use super::dependencies::{Builder, Refusal};
use super::evaluator::{Evaluator, plain};
use super::failure::Failure;
use super::notes::short;
use super::prelude;

/// Each command, what it takes, and what it does.
const COMMANDS: [(&str, &str, &str); 19] = [
    (
        ":dep",
        "NAME = …",
        "adds a crate, as a line of `[dependencies]` in Cargo.toml",
    ),
    (":show_deps", "", "the crates that were added"),
    (":vars", "", "variables and their types"),
    (":type", "NAME", "the type of a variable"),
    (
        ":types",
        "",
        "types, functions and other items that are defined",
    ),
    (
        ":opt",
        "[0|1|2|3|auto]",
        "optimisation of cells; `auto` is 1 for cells with loops or closures and 0 for others",
    ),
    (
        ":timing",
        "",
        "tells after each cell how long it took, or no longer",
    ),
    (
        ":restart",
        "",
        "starts anew: variables and items are gone, crates stay",
    ),
    (":clear", "", "as `:restart`"),
    (
        ":offline",
        "[0|1]",
        "takes crates from this machine only, or no longer",
    ),
    (
        ":env",
        "NAME=VALUE",
        "says how to set a variable of the environment",
    ),
    (
        ":explain",
        "[CODE]",
        "explains an error of the compiler, the last one without a code",
    ),
    (":doc", "NAME", "documentation, as `NAME?` does"),
    (
        ":last_error_json",
        "",
        "the last errors of the compiler as data",
    ),
    (
        ":last_crate",
        "",
        "what the compiler was given for the last cell",
    ),
    (":version", "", "versions of the kernel and the compiler"),
    (":help", "", "this list"),
    (":quit", "", "ends the process that runs cells"),
    ("!", "COMMAND", "runs a command of the shell"),
];
/// Commands of evcxr that have nothing to do here, and why.
const NEEDLESS: [(&str, &str); 15] = [
    (":cache", "compiled crates are kept for the session"),
    (":clear_cache", "compiled crates are kept for the session"),
    (":sccache", "cells are compiled without cargo"),
    (":linker", "the linker of the toolchain is used"),
    (
        ":toolchain",
        "cells are compiled by the Rust that the prelude was built with",
    ),
    (
        ":codegen_backend",
        "cells are compiled by the Rust that the prelude was built with",
    ),
    (":allow_static_linking", "cells are linked with the prelude"),
    (":preserve_vars_on_panic", "variables survive a panic here"),
    (":fmt", "values are shown by `evcxr_display`, or by `Debug`"),
    (":efmt", "errors are shown by `Display`"),
    (":time_passes", "`:timing` says how long a cell took"),
    (":build_env", "set the environment before the kernel starts"),
    (
        ":load_config",
        "files named `evcxr.toml` and `init.evcxr` are not obeyed",
    ),
    (":last_compile_dir", "`:last_crate` shows what was compiled"),
    (":internal_debug", "`:last_crate` shows what was compiled"),
];

impl Evaluator {
    /// Runs the commands at the beginning of `code`; yields the rest, with an empty line for each, and what is to be
    /// shown.
    pub(super) fn commands(
        &mut self,
        code: &str,
        sink: &dyn Sink,
    ) -> Result<(String, Option<Map<String, Value>>), Failure> {
        let mut rest = String::new();
        let mut shown: Option<Map<String, Value>> = None;
        let mut wanted = Vec::new();
        let mut lines = code.split_inclusive('\n');
        for line in lines.by_ref() {
            let text = line.trim();
            let is_command = line.starts_with(['!', ':']) && !line.starts_with("::");
            if !is_command && !text.is_empty() && !text.starts_with("//") {
                rest.push_str(line);
                break;
            }
            rest.push_str(if is_command { "\n" } else { line });
            if let Some(crate_line) = is_command.then(|| text.strip_prefix(":dep ")).flatten() {
                wanted.push(crate_line);
            } else if is_command {
                if let Some(earlier) = shown
                    .take()
                    .as_ref()
                    .and_then(|bundle| bundle["text/plain"].as_str())
                {
                    sink.stdout(&format!("{earlier}\n"));
                }
                shown = self.command(text, sink)?;
            }
        }
        rest.extend(lines);
        self.depend_on(&wanted, sink)?;
        Ok((rest, shown))
    }

    fn command(
        &mut self,
        line: &str,
        sink: &dyn Sink,
    ) -> Result<Option<Map<String, Value>>, Failure> {
        if let Some(command) = line.strip_prefix('!') {
            return self.shell(command.trim(), sink).map(|()| None);
        }
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        let text = match name {
            ":vars" => return Ok(Some(self.variables())),
            ":help" => help(),
            ":types" => self.items(),
            ":show_deps" => self.crates(),
            ":type" => self.kind_of(argument)?,
            ":opt" => self.optimise(argument)?,
            ":timing" => {
                self.timing = !self.timing;
                format!("timing: {}", if self.timing { "on" } else { "off" })
            }
            ":offline" => {
                self.offline = argument != "0";
                format!("offline: {}", if self.offline { "on" } else { "off" })
            }
            ":restart" | ":clear" | ":quit" => {
                self.clear()?;
                "started anew: no variables, no items".to_owned()
            }
            ":explain" => return self.explain(argument).map(Some),
            ":env" => {
                let (name, value) = argument.split_once('=').unwrap_or((argument, "…"));
                format!(
                    "in a cell: `unsafe {{ std::env::set_var({:?}, {:?}) }}`",
                    name.trim(),
                    value.trim()
                )
            }
            ":doc" => format!("`{argument}?` shows documentation"),
            ":last_error_json" => {
                serde_json::to_string_pretty(&self.last_errors).unwrap_or_default()
            }
            ":last_crate" => self.last_crate.clone(),
            ":version" => self.versions(),
            ":dep" => {
                return Err(Failure::new(
                    "Usage",
                    "`:dep` names a crate",
                    "as in `:dep regex = \"1\"`",
                ));
            }
            _ => return unknown(name),
        };
        Ok(Some(plain(text)))
    }

    fn kind_of(&self, name: &str) -> Result<String, Failure> {
        match self.notes.variables.get(name) {
            Some(variable) => Ok(format!("{name}: {}", short(&variable.kind))),
            None => Err(Failure::new(
                "NotFound",
                &format!("there is no variable `{name}`"),
                "`:vars` lists all",
            )),
        }
    }

    fn optimise(&mut self, level: &str) -> Result<String, Failure> {
        self.level = match level {
            "0" | "1" | "2" | "3" | "s" | "z" => Some(level.to_owned()),
            // As in evcxr, where the bare word changes between none and much.
            "" if self.level.as_deref() != Some("2") => Some("2".to_owned()),
            "" | "auto" => None,
            _ => {
                return Err(Failure::new(
                    "Usage",
                    &format!("`{level}` is no level of optimisation"),
                    "0, 1, 2, 3 or auto",
                ));
            }
        };
        Ok(format!(
            "optimisation: {}",
            self.level.as_deref().unwrap_or("auto")
        ))
    }

    fn explain(&self, code: &str) -> Result<Map<String, Value>, Failure> {
        let last = self
            .last_errors
            .iter()
            .find_map(|error| error["code"].as_str().filter(|code| !code.is_empty()));
        let code = if code.is_empty() {
            last.unwrap_or_default()
        } else {
            code
        };
        let output = Command::new(&self.compiler.rustc)
            .args(["--explain", code])
            .output();
        match output {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let mut bundle = plain(text.clone());
                bundle.insert("text/markdown".to_owned(), text.into());
                Ok(bundle)
            }
            _ => Err(Failure::new(
                "NotFound",
                &format!("nothing is known of `{code}`"),
                "as in `:explain E0382`",
            )),
        }
    }

    fn versions(&self) -> String {
        let output = Command::new(&self.compiler.rustc).arg("--version").output();
        let rustc = output
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default();
        format!("mlk8s {}\n{rustc}", env!("CARGO_PKG_VERSION"))
    }
}

fn help() -> String {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|(name, takes, does)| format!("{:<24} {does}", format!("{name} {takes}")))
        .collect();
    lines.join("\n")
}

fn unknown(name: &str) -> Result<Option<Map<String, Value>>, Failure> {
    if let Some((_, why)) = NEEDLESS.iter().find(|(known, _)| *known == name) {
        return Ok(Some(plain(format!("`{name}` has no effect here: {why}"))));
    }
    Err(Failure::new(
        "NotFound",
        &format!("there is no command `{name}`"),
        "`:help` lists all",
    ))
}

/// Names of commands that begin with `typed`, for completion.
pub(super) fn completions(typed: &str) -> Vec<&'static str> {
    COMMANDS
        .iter()
        .map(|(name, ..)| *name)
        .filter(|name| name.len() > 1 && name.starts_with(typed))
        .collect()
}

fn escape(text: &str) -> String {
    crate::display::escape::text(text)
}

/// The variables as JupyterLab's inspector wants them; see the Debug Adapter Protocol, "variables".
pub(crate) fn inspected(view: &super::View) -> Value {
    let variables: Vec<Value> = view
        .variables
        .iter()
        .map(|(name, variable)| {
            json!({
                "name": name, "evaluateName": name, "type": short(&variable.kind), "variablesReference": 0,
                "value": variable.about["text"].as_str().unwrap_or(""),
            })
        })
        .collect();
    json!({ "variables": variables })
}
