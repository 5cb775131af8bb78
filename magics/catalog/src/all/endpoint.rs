//! `%endpoint`: servers that speak the OpenAI API, made known, chosen, tried and forgotten.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use mlk8s_llm::endpoint::{Endpoint as Server, FROM_ENVIRONMENT, KeySource, Urgency};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};

/// Models that are listed by name.
const LISTED: usize = 40;

/// Make servers that speak the OpenAI API known, choose one, try it
#[derive(Debug, Parser)]
pub(super) struct Endpoint {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Box<Add>),
    Use(Named),
    List,
    Check(MaybeNamed),
    Remove(Named),
}

/// Make a server known, or change what is known of it
#[derive(Debug, Args)]
struct Add {
    /// What it is to be called
    name: String,
    /// Its address up to `/chat/completions`, such as `http://gpu:8000/v1`
    url: String,
    /// The environment variable that holds the key
    #[arg(long, value_name = "VARIABLE", conflicts_with = "key_file")]
    key_env: Option<String>,
    /// The file that holds the key, such as a mounted secret
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The model that is asked when none is named
    #[arg(long)]
    model: Option<String>,
    /// Its calls are not paid by the token (the default for addresses of this house)
    #[arg(long, conflicts_with = "paid")]
    local: bool,
    /// Its calls are paid by the token, wherever it is
    #[arg(long)]
    paid: bool,
    /// Its `max_tokens` counts the request, too
    #[arg(long)]
    total_max_tokens: bool,
    /// How it is told which calls are urgent
    #[arg(long, value_name = "WAY", default_value = "none")]
    urgency: Way,
    /// Calls at once; 0 finds out what the server can bear
    #[arg(long, value_name = "N", default_value = "0")]
    concurrency: usize,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Way {
    /// Not at all
    None,
    /// By `priority`, as vLLM knows it
    Priority,
    /// By `service_tier`, as OpenAI knows it
    ServiceTier,
}

/// Choose the server that is asked when none is named, or forget one
#[derive(Debug, Args)]
struct Named {
    /// Its name
    name: String,
}

/// Try a server: is it there, is the key right, which models has it?
#[derive(Debug, Args)]
struct MaybeNamed {
    /// Its name; else the one in use
    name: Option<String>,
}

/// What there is to see of servers.
pub(super) struct Seen(View);

impl Magic for Endpoint {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%endpoint add house http://127.0.0.1:8000/v1 --model small",
            about: "a server of one's own",
            shows: "house",
        },
        Example {
            after: &[],
            cell: "%endpoint add openai https://api.openai.com/v1 --key-env OPENAI_API_KEY --model gpt-5-nano",
            about: "a hosted API; the key stays in the environment",
            shows: "OPENAI_API_KEY",
        },
        Example {
            after: &["%endpoint add house http://127.0.0.1:8000/v1"],
            cell: "%endpoint list",
            about: "all servers; the one in use is marked",
            shows: "in use",
        },
    ];
    type Outcome = Seen;

    fn run(self, call: &mut Call) -> Result<Seen, MagicError> {
        let mut endpoints = call.session.models.endpoints()?;
        match self.verb {
            Verb::Add(add) => endpoints.add(add.server()?)?,
            Verb::Use(named) => endpoints.choose(&named.name)?,
            Verb::Remove(named) => endpoints.remove(&named.name)?,
            Verb::List => {}
            Verb::Check(named) => {
                let server = endpoints.get(named.name.as_deref())?;
                return check(call, &server).map(Seen);
            }
        }
        let used = endpoints.used();
        let rows: Vec<Vec<String>> = endpoints
            .all()
            .iter()
            .map(|server| row(server, used.as_deref()))
            .collect();
        let note = if rows.is_empty() {
            "none is known yet: `%endpoint add NAME URL`, or set OPENAI_BASE_URL and OPENAI_API_KEY"
                .to_owned()
        } else {
            String::new()
        };
        Ok(Seen(View::Table(Table {
            title: "endpoints".to_owned(),
            columns: ["name", "", "address", "model", "key", "paid", "remarks"]
                .map(Column::text)
                .to_vec(),
            rows,
            note,
        })))
    }
}

impl Add {
    fn server(self) -> Result<Server, MagicError> {
        let usage = |message: String, hint: &str| {
            Err(MagicError::new(ErrorKind::Usage, message).with_hint(hint))
        };
        let good_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty()
            || !self.name.chars().all(good_name)
            || self.name == FROM_ENVIRONMENT
        {
            return usage(
                format!("`{}` cannot be the name of an endpoint", self.name),
                "a name is made of letters, digits, `-` and `_`; `env` is the one of the environment",
            );
        }
        let host = self
            .url
            .strip_prefix("https://")
            .or(self.url.strip_prefix("http://"));
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return usage(
                format!("`{}` is not an address", self.url),
                "it begins with `http://` or `https://` and mostly ends in `/v1`",
            );
        };
        if host
            .split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
            || host.contains("sk-")
        {
            return usage(
                "there is a key or a password in the address".to_owned(),
                "put it into a variable or a file: `--key-env NAME` or `--key-file PATH`; notebooks are read by many",
            );
        }
        let mut server = Server::new(&self.name, &self.url);
        server.key = match (self.key_env, self.key_file) {
            (Some(name), _) if name.starts_with("sk-") => {
                return usage(
                    "`--key-env` takes the name of a variable, not the key".to_owned(),
                    "set the variable where Jupyter is started, and give its name here",
                );
            }
            (Some(name), _) => KeySource::Env(name),
            (None, Some(path)) => KeySource::File(path),
            (None, None) => KeySource::None,
        };
        server.model = self.model;
        server.local = (server.local || self.local) && !self.paid;
        server.total_max_tokens = self.total_max_tokens;
        server.concurrency = self.concurrency;
        server.urgency = match self.urgency {
            Way::None => Urgency::None,
            Way::Priority => Urgency::Priority,
            Way::ServiceTier => Urgency::ServiceTier,
        };
        Ok(server)
    }
}

fn row(server: &Server, used: Option<&str>) -> Vec<String> {
    let mut remarks = Vec::new();
    if server.total_max_tokens {
        remarks.push("max_tokens counts the request".to_owned());
    }
    match server.urgency {
        Urgency::None => {}
        Urgency::Priority => remarks.push("knows `priority`".to_owned()),
        Urgency::ServiceTier => remarks.push("knows `service_tier`".to_owned()),
    }
    if server.concurrency > 0 {
        remarks.push(format!("{} at once", server.concurrency));
    }
    let is_used = used == Some(server.name.as_str());
    vec![
        server.name.clone(),
        if is_used { "in use" } else { "" }.to_owned(),
        server.url.clone(),
        server.model.clone().unwrap_or_default(),
        server.key.to_string(),
        if server.local {
            "by the hour"
        } else {
            "by the token"
        }
        .to_owned(),
        remarks.join(", "),
    ]
}

fn check(call: &mut Call, server: &Server) -> Result<View, MagicError> {
    let begun = Instant::now();
    let models = call.session.models.client()?.models(server)?;
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    let mut rows = vec![
        vec!["address".to_owned(), server.url.clone()],
        vec!["key".to_owned(), server.key.to_string()],
        vec!["answered in".to_owned(), format!("{took:.0} ms")],
    ];
    let note = match &models {
        None => "the server has no list of models; name one with `%endpoint add … --model NAME`"
            .to_owned(),
        Some(models) => {
            let shown: Vec<&str> = models.iter().take(LISTED).map(String::as_str).collect();
            let mut text = shown.join(", ");
            if models.len() > LISTED {
                // Writing to a string cannot fail.
                let _ = write!(text, ", and {} more", models.len() - LISTED);
            }
            rows.push(vec![format!("{} models", models.len()), text]);
            match &server.model {
                Some(wanted) if !models.contains(wanted) => {
                    format!("`{wanted}`, which is asked when none is named, is not among them")
                }
                _ => String::new(),
            }
        }
    };
    Ok(View::Table(Table {
        title: format!("{}: it is there", server.name),
        columns: vec![Column::text("what"), Column::text("")],
        rows,
        note,
    }))
}

impl ToView for Seen {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}
