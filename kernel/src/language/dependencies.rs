//! Crates that cells ask for with `:dep`: cargo builds them once, cells are compiled against what it made.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::running::Running;

/// What cells depend on besides the prelude.
#[derive(Debug, Default, Clone)]
pub(super) struct Dependencies {
    /// Lines of `[dependencies]`: the name, and what stands after `=`.
    wanted: BTreeMap<String, String>,
    /// What cargo made: the name in code, and the file.
    built: Vec<(String, PathBuf)>,
    /// Where the crates below them are, and libraries that build scripts made.
    search: Vec<String>,
}

/// Why a crate could not be had.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The line cannot be read.
    Unreadable(String),
    /// What cargo says.
    Cargo(String),
    /// The user stopped it.
    Stopped,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal::Cargo(error.to_string())
    }
}

/// Where and how crates are built.
pub(super) struct Builder<'a> {
    pub(super) cargo: &'a Path,
    pub(super) rustc: &'a Path,
    /// The directory of the project that depends on them.
    pub(super) dir: &'a Path,
    /// Where the notebook works: paths of crates start there.
    pub(super) work_dir: &'a Path,
    pub(super) offline: bool,
    pub(super) running: &'a Running,
    /// Told how far cargo is.
    pub(super) progress: &'a dyn Fn(&str),
}

impl Dependencies {
    /// Whether `name` is among them.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.wanted.contains_key(name)
    }

    /// Each with what stands after its `=`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.wanted
            .iter()
            .map(|(name, what)| (name.as_str(), what.as_str()))
    }

    /// Gives rustc what was built.
    pub(super) fn lend(&self, rustc: &mut Command) {
        for (name, file) in &self.built {
            rustc
                .arg("--extern")
                .arg(format!("{name}={}", file.display()));
        }
        for place in &self.search {
            rustc.arg("-L").arg(place);
        }
    }

    /// These and the ones that `lines` name, built.
    pub(super) fn with(
        &self,
        lines: &[&str],
        builder: &Builder<'_>,
    ) -> Result<Dependencies, Refusal> {
        let mut more = self.clone();
        for line in lines {
            let (name, what) = read(line)?;
            more.wanted
                .insert(name, from_work_dir(&what, builder.work_dir));
        }
        if more.wanted == self.wanted {
            return Ok(more);
        }
        more.build(builder)?;
        Ok(more)
    }

    fn build(&mut self, builder: &Builder<'_>) -> Result<(), Refusal> {
        std::fs::create_dir_all(builder.dir.join("src"))?;
        std::fs::write(builder.dir.join("src/lib.rs"), "")?;
        let mut manifest = String::from(
            "[package]\nname = \"mlk8s-cells\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
             [profile.dev]\nopt-level = 2\ndebug = false\n[dependencies]\n",
        );
        for (name, what) in &self.wanted {
            manifest.extend([name.as_str(), " = ", what, "\n"]);
        }
        std::fs::write(builder.dir.join("Cargo.toml"), manifest)?;
        let total = builder.count();
        let mut cargo = builder.command("build");
        cargo.arg("--message-format=json");
        let mut process = builder.running.spawn(&mut cargo)?.ok_or(Refusal::Stopped)?;
        let Said {
            messages,
            reports,
            words,
        } = builder.follow(&mut process, total);
        let status = builder.running.wait(&mut process)?;
        if std::os::unix::process::ExitStatusExt::signal(&status).is_some() {
            return Err(Refusal::Stopped);
        }
        if !status.success() {
            return Err(Refusal::Cargo(format!("{reports}{}", errors_of(&words))));
        }
        self.collect(&messages);
        Ok(())
    }

    fn collect(&mut self, messages: &[Value]) {
        self.built.clear();
        self.search.clear();
        let mut dirs = Vec::new();
        let wanted: Vec<(String, String)> = self
            .wanted
            .iter()
            .map(|(name, what)| {
                (
                    package_of(name, what).replace('-', "_"),
                    name.replace('-', "_"),
                )
            })
            .collect();
        for message in messages {
            if message["reason"] == "build-script-executed" {
                let paths = message["linked_paths"].as_array().into_iter().flatten();
                dirs.extend(paths.filter_map(Value::as_str).map(str::to_owned));
            }
            if message["reason"] != "compiler-artifact" {
                continue;
            }
            let files = message["filenames"].as_array().into_iter().flatten();
            let file = files.filter_map(Value::as_str).map(Path::new).find(|file| {
                file.extension()
                    .is_some_and(|e| e == "rlib" || e == "so" || e == "dylib")
            });
            let Some(file) = file else { continue };
            if let Some(dir) = file.parent() {
                dirs.push(format!("dependency={}", dir.display()));
            }
            let target = message["target"]["name"]
                .as_str()
                .unwrap_or_default()
                .replace('-', "_");
            let package = message["package_id"]
                .as_str()
                .unwrap_or_default()
                .replace('-', "_");
            let found = wanted.iter().find(|(own, _)| {
                *own == target
                    || package.contains(&format!("/{own}#"))
                    || package.contains(&format!("#{own}@"))
            });
            if let Some((own, name)) = found {
                // A crate may be called otherwise than its package, and a line may give it a name of its own.
                let name = if own == name { target } else { name.clone() };
                self.built.retain(|(old, _)| *old != name);
                self.built.push((name, file.to_owned()));
            }
        }
        dirs.sort();
        dirs.dedup();
        self.search = dirs;
    }
}

/// What cargo says: its messages, the compiler's errors in them, and what it writes for people.
struct Said {
    messages: Vec<Value>,
    reports: String,
    words: String,
}

impl Builder<'_> {
    /// Hears cargo to its end and tells how far it is.
    fn follow(&self, process: &mut Child, total: usize) -> Said {
        let (line, lines) = crossbeam_channel::unbounded();
        let words = process.stderr.take().map(|stream| {
            std::thread::spawn(move || {
                let all: Vec<String> = BufReader::new(stream)
                    .lines()
                    .map_while(Result::ok)
                    .inspect(|text| drop(line.send(text.clone())))
                    .collect();
                all.join("\n")
            })
        });
        let mut said = Said {
            messages: Vec::new(),
            reports: String::new(),
            words: String::new(),
        };
        let mut done = 0;
        let stdout = process.stdout.take().map(BufReader::new);
        for text in stdout
            .into_iter()
            .flat_map(BufReader::lines)
            .map_while(Result::ok)
        {
            let Ok(message) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            done += usize::from(message["reason"] == "compiler-artifact");
            if message["message"]["level"] == "error" {
                let rendered = message["message"]["rendered"].as_str();
                said.reports.push_str(rendered.unwrap_or_default());
            }
            for text in lines.try_iter() {
                let text = text.trim();
                let verbs = ["Compiling", "Downloading", "Updating"];
                if verbs.iter().any(|verb| text.starts_with(verb)) {
                    (self.progress)(&format!("{text} ({done}/{})", total.max(done)));
                }
            }
            said.messages.push(message);
        }
        said.words = words
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        said
    }

    fn command(&self, verb: &str) -> Command {
        let mut cargo = Command::new(self.cargo);
        cargo
            .arg(verb)
            .current_dir(self.dir)
            .env("RUSTC", self.rustc)
            .env("CARGO_TARGET_DIR", self.dir.join("target"))
            // Another name for the same crates that the prelude holds, or rustc takes one for the other.
            .env("RUSTFLAGS", "-Cmetadata=mlk8s_cells")
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.offline {
            cargo.arg("--offline");
        }
        cargo
    }

    /// How many crates there are to build: 0 where cargo does not know, or is stopped.
    fn count(&self) -> usize {
        let mut cargo = self.command("tree");
        cargo.args([
            "--prefix",
            "none",
            "--no-dedupe",
            "--edges",
            "normal,build",
            "--format",
            "{p}",
        ]);
        // What it has to say against the crates is heard when it builds them.
        cargo.stderr(Stdio::null());
        let Ok(Some(mut process)) = self.running.spawn(&mut cargo) else {
            return 0;
        };
        let mut text = String::new();
        if let Some(mut out) = process.stdout.take() {
            // What was read until then counts.
            let _ = out.read_to_string(&mut text);
        }
        // The build says how cargo fares.
        let _ = self.running.wait(&mut process);
        let mut all: Vec<&str> = text.lines().collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

/// The name and the rest of `name = …`; a name alone means any version.
fn read(line: &str) -> Result<(String, String), Refusal> {
    let (name, what) = match line.split_once('=') {
        Some((name, what)) => (name.trim(), what.trim().to_owned()),
        None => (line.trim(), "\"*\"".to_owned()),
    };
    let good = !name.is_empty()
        && name
            .chars()
            .all(|c| c == '-' || c == '_' || c.is_ascii_alphanumeric());
    if !good || what.is_empty() || what.contains('\n') {
        return Err(Refusal::Unreadable(line.to_owned()));
    }
    Ok((name.to_owned(), what))
}

/// The package that a line names: `name = { package = "other" }` gives it another name in code.
fn package_of<'a>(name: &'a str, what: &'a str) -> &'a str {
    let named = what
        .split_once("package")
        .and_then(|(_, rest)| rest.split('"').nth(1));
    named.unwrap_or(name)
}

/// `path = "…"` as seen from where the notebook works.
fn from_work_dir(what: &str, work_dir: &Path) -> String {
    let Some((before, after)) = what.split_once("path") else {
        return what.to_owned();
    };
    let mut parts = after.splitn(3, '"');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(glue), Some(path), Some(rest)) if glue.trim() == "=" => {
            format!(
                "{before}path = {:?}{rest}",
                work_dir.join(path).display().to_string()
            )
        }
        _ => what.to_owned(),
    }
}

/// The errors in what cargo says.
fn errors_of(words: &str) -> String {
    let start = words.find("error").unwrap_or(0);
    words[start..].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_a_crate() {
        let dir = Path::new("/home");
        let check = |line: &str| {
            read(line)
                .map(|(name, what)| format!("{name} = {}", from_work_dir(&what, dir)))
                .ok()
        };
        assert_eq!(check("regex").unwrap(), "regex = \"*\"");
        assert_eq!(check("a = \"1\"").unwrap(), "a = \"1\"");
        assert_eq!(
            check("a = { path = \"x/y\", features = [\"b\"] }").unwrap(),
            "a = { path = \"/home/x/y\", features = [\"b\"] }"
        );
        assert_eq!(check("a b = 1"), None);
        assert_eq!(check("a ="), None);
    }
}
