//! `%batch`: a notebook that runs by itself, here or on the cluster, and leaves a report.

mod cluster;
mod here;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};

/// Run a notebook by itself, here or on the cluster, and keep its report
#[derive(Debug, Parser)]
pub(super) struct Batch {
    /// The notebook
    notebook: PathBuf,
    /// A value for a parameter of the notebook's cell tagged `parameters`
    #[arg(long = "param", short, value_name = "NAME=VALUE")]
    parameters: Vec<Parameter>,
    /// Where it runs
    #[arg(long, value_name = "PLACE", default_value = "here")]
    on: Place,
    /// Where runs are kept, a folder each; else `runs` beside this notebook
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seconds after which it is stopped
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Show the report of an earlier run with the same parameters, if that has ended well
    #[arg(long)]
    resume: bool,
    /// GPUs, on the cluster
    #[arg(long, value_name = "N", default_value = "0")]
    gpus: u32,
    /// The image, on the cluster; else `MLK8S_IMAGE`, in a pod its own
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Follow this Job, which an earlier `%batch` has sent, and fetch its report
    #[arg(long, value_name = "JOB")]
    follow: Option<String>,
}

/// Where a notebook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// On this machine, with a kernel of its own
    Here,
    /// As a Job in the cluster
    Cluster,
}

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parameter {
    name: String,
    value: String,
}

impl std::str::FromStr for Parameter {
    type Err = String;

    fn from_str(text: &str) -> Result<Parameter, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Parameter {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write it as NAME=VALUE".to_owned()),
        }
    }
}

/// A run that ended well.
pub(super) struct Ran {
    title: String,
    facts: Vec<(&'static str, String)>,
    /// What can be opened, as it is seen from this notebook.
    files: Vec<(&'static str, PathBuf)>,
}

impl Magic for Batch {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%batch --help",
        about: "runs a notebook to its end, and keeps the HTML: `%batch night.ipynb --param limit=10`",
        shows: "--param",
    }];
    type Outcome = Ran;

    fn run(self, call: &mut Call) -> Result<Ran, MagicError> {
        let notebook = call.session.resolve(&self.notebook);
        if !notebook.is_file() {
            let message = format!("there is no notebook `{}`", self.notebook.display());
            return Err(MagicError::new(ErrorKind::NotFound, message)
                .with_hint("paths begin where this notebook is"));
        }
        let misplaced = match self.on {
            Place::Here if self.gpus > 0 => Some("`--gpus` is for `--on cluster`"),
            Place::Here if self.image.is_some() => Some("`--image` is for `--on cluster`"),
            Place::Here if self.follow.is_some() => Some("`--follow` is for `--on cluster`"),
            Place::Cluster if self.resume => Some("`--resume` is for runs on this machine"),
            Place::Cluster if self.follow.is_some() && self.asks_for_more() => {
                Some("what a Job runs cannot be changed: `--follow` stands alone")
            }
            _ => None,
        };
        if let Some(message) = misplaced {
            return Err(MagicError::new(ErrorKind::Usage, message).with_hint("`%batch --help`"));
        }
        match self.on {
            Place::Here => self.here(&notebook, call),
            Place::Cluster => self.on_cluster(&notebook, call),
        }
    }
}

impl Batch {
    /// Where the results go.
    fn out(&self, call: &Call) -> PathBuf {
        let out = self.out.as_deref().unwrap_or_else(|| Path::new("runs"));
        call.session.resolve(out)
    }

    /// Whether anything is said that only a new run heeds.
    fn asks_for_more(&self) -> bool {
        let words = self.image.is_some() || self.timeout.is_some() || self.gpus > 0;
        words || !self.parameters.is_empty()
    }

    fn deadline(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }

    /// The notebook's name without its ending.
    fn stem(&self) -> String {
        let stem = self.notebook.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }
}

/// How long something took, in words.
fn took(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `path` as an address: whatever a file is called, it is no more than that.
fn address(path: &Path) -> String {
    let mut address = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"._~/-".contains(byte) {
            address.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

/// `path` as it is seen from the folder `from`, if it lies below.
fn seen_from(from: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(from).unwrap_or(path).to_owned()
}

impl ToView for Ran {
    fn to_view(&self) -> View {
        let facts = self.facts.iter();
        let rows = facts.map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
        let table = Table {
            title: self.title.clone(),
            columns: vec![Column::text(""), Column::text("")],
            rows: rows.collect(),
            note: String::new(),
        };
        let links: Vec<String> = self
            .files
            .iter()
            .map(|(name, path)| format!("[{name}](<{}>)", address(path)))
            .collect();
        View::Stack(vec![View::Table(table), View::Markdown(links.join(" · "))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_names_with_values() {
        let read = |text: &str| text.parse::<Parameter>();
        let with_equals = read("where=a=b").unwrap();
        assert_eq!(
            (with_equals.name, with_equals.value),
            ("where".into(), "a=b".into())
        );
        assert!(read("limit").is_err() && read("=3").is_err());
        assert_eq!(read("empty=").unwrap().value, "");
    }

    #[test]
    fn times_are_read_at_a_glance() {
        let said = [5, 65, 7500].map(|seconds| took(Duration::from_secs(seconds)));
        assert_eq!(said, ["5 s", "1 min 5 s", "2 h 5 min"]);
    }

    #[test]
    fn an_address_is_nothing_but_a_place() {
        let odd = Path::new("runs/a b\r[x](y)#.html");
        assert_eq!(address(odd), "runs/a%20b%0D%5Bx%5D%28y%29%23.html");
    }

    #[test]
    fn links_begin_where_the_notebook_is() {
        let seen = seen_from(Path::new("/home/me"), Path::new("/home/me/runs/a.html"));
        assert_eq!(seen, Path::new("runs/a.html"));
        let elsewhere = seen_from(Path::new("/home/me"), Path::new("/data/a.html"));
        assert_eq!(elsewhere, Path::new("/data/a.html"));
    }
}
