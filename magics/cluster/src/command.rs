//! What one can type after `mlk8s-cluster`, and what it writes.

mod changes;
mod ports;
mod status;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cluster::{Cluster, Place};
use crate::error::ClusterError;
use crate::manifest::apply::How;
use crate::manifest::{self, Object, check, render};

/// A cluster: manifests rendered, checked, applied; what stands; ports forwarded
#[derive(clap::Parser)]
#[command(name = "mlk8s-cluster", version)]
pub struct Line {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// A kubeconfig [default: $KUBECONFIG, ~/.kube/config, in a pod its service account]
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of what names none [default: the context's]
    #[arg(long, short, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// The folder with `overlays`
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "devbox/manifests"
    )]
    manifests: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write the manifests of an overlay
    Render {
        /// A name below `overlays`, such as `home` or `home/apps`, or a folder
        overlay: String,
    },
    /// Check overlays without a cluster: fields, references, selectors, ports, images, secrets
    Check {
        /// Names below `overlays`, or folders [default: all]
        overlays: Vec<String>,
    },
    /// Apply an overlay: everything is tried first, and done only if the cluster would have all of it
    Apply {
        /// A name below `overlays`, or a folder
        overlay: String,
        /// Only try
        #[arg(long)]
        dry_run: bool,
        /// Take over fields that somebody else owns
        #[arg(long)]
        force_conflicts: bool,
        /// Leave out kinds that the cluster does not have
        #[arg(long)]
        skip_unknown: bool,
    },
    /// Show the machines, what runs and what waits; of an overlay, what of it stands
    Status {
        /// A name below `overlays`, or a folder
        overlay: Option<String>,
    },
    /// Bring the notebook and the endpoint to ports of this machine, until Ctrl-C
    Forward {
        /// Only this one; else both, as far as they are there
        what: Option<What>,
        /// Port for the notebook
        #[arg(long, default_value_t = 8888)]
        notebook: u16,
        /// Port for the endpoint
        #[arg(long, default_value_t = 8000)]
        endpoint: u16,
    },
}

/// What can be brought to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// The notebook
    Notebook,
    /// The endpoint
    Endpoint,
}

/// Why a command failed, with what to type next.
#[derive(Debug)]
pub struct Failure(String);

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Failure {
        Failure(match error.hint() {
            Some(hint) => format!("{error}\n hint: {hint}"),
            None => error.to_string(),
        })
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(format!("cannot write: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does what `line` says, and writes to `out` what there is to say.
pub fn run(line: &Line, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let place = Place {
        context: line.context.clone(),
        kubeconfig: line.kubeconfig.clone(),
        namespace: line.namespace.clone(),
        ..Place::default()
    };
    match &line.command {
        Command::Render { overlay } => {
            write!(
                out,
                "{}",
                render::render(&render::overlay(&line.manifests, overlay)?)?
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { overlays } => line.check(overlays, out),
        Command::Apply {
            overlay,
            dry_run,
            force_conflicts,
            skip_unknown,
        } => {
            let objects = line.objects(overlay)?;
            let how = How {
                dry_run: *dry_run,
                force: *force_conflicts,
                skip_unknown: *skip_unknown,
            };
            let cluster = Cluster::connect(&place)?;
            writeln!(out, "{} objects for {}", objects.len(), cluster.server())?;
            let applied = cluster.apply(&objects, how, &interrupted()?)?;
            Ok(changes::write(&applied, how, out)?)
        }
        Command::Status { overlay } => {
            let objects = overlay
                .as_ref()
                .map(|overlay| line.objects(overlay))
                .transpose()?;
            let cluster = Cluster::connect(&place)?;
            let seen = cluster.inventory(line.namespace.as_deref(), &|| false)?;
            let code = status::write(&seen, out)?;
            let Some(objects) = objects else {
                return Ok(code);
            };
            let standing = cluster.standing(&objects, &|| false)?;
            Ok(status::standing(&standing, out)?)
        }
        Command::Forward {
            what,
            notebook,
            endpoint,
        } => {
            let cluster = Cluster::connect(&place)?;
            let wanted = |one: What, port: u16| what.is_none_or(|what| what == one).then_some(port);
            let locals = [
                wanted(What::Notebook, *notebook),
                wanted(What::Endpoint, *endpoint),
            ];
            ports::forward(&cluster, locals, &interrupted()?, out)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Line {
    /// The objects of the overlay `name`.
    fn objects(&self, name: &str) -> Result<Vec<Object>, ClusterError> {
        let folder = render::overlay(&self.manifests, name)?;
        manifest::read(&render::render(&folder)?, name)
    }

    /// The objects of the overlay that `name` is a step of; none for a whole one.
    fn beside(&self, name: &str) -> Result<Vec<Object>, ClusterError> {
        let whole = name
            .trim_end_matches('/')
            .rsplit_once('/')
            .map(|(whole, _)| whole);
        match whole.filter(|whole| render::overlay(&self.manifests, whole).is_ok()) {
            Some(whole) => self.objects(whole),
            None => Ok(Vec::new()),
        }
    }

    fn check(&self, overlays: &[String], out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let mut names = overlays.to_vec();
        if names.is_empty() {
            names = render::names(&self.manifests.join("overlays"));
        }
        if names.is_empty() {
            // That a check found nothing to check must not look like that it found nothing wrong.
            render::overlay(&self.manifests, "home")?;
        }
        let provided = check::provided(&self.manifests)?;
        let mut n_findings = 0;
        for name in &names {
            let objects = self.objects(name)?;
            let findings = check::check(&objects, &self.beside(name)?, &provided);
            for finding in &findings {
                writeln!(out, "{name}: {} {}", finding.object, finding.what)?;
            }
            writeln!(
                out,
                "{name}: {} objects, {} findings",
                objects.len(),
                findings.len()
            )?;
            n_findings += findings.len();
        }
        Ok(if n_findings == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Whether Ctrl-C was pressed.
fn interrupted() -> io::Result<impl Fn() -> bool + Sync> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        let pressed = runtime.block_on(tokio::signal::ctrl_c());
        raised.store(pressed.is_ok(), Ordering::SeqCst);
    });
    Ok(move || flag.load(Ordering::SeqCst))
}
