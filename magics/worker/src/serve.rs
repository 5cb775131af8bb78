//! A worker's life: listen, load, answer, drain, end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::WorkerError;
use crate::life::{End, Life};
use crate::report::{Progress, Report};
use crate::served::{Kind, Served};
use crate::settings::Settings;
use crate::state::Server;
use crate::{endpoint, listen, load, memory, place, report};

/// File descriptors that are not connections.
const OTHER_FILES: u64 = 256;
/// How long connections get to end when no request is under way any more.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long nobody asks before memory is given back.
const MOMENT: Duration = Duration::from_secs(2);

/// Serves as `settings` say, with the keys that the environment has beside those of the file. Gives the process' exit
/// code: 0 after an ordered end, 1 after a failure or an end in haste.
pub async fn serve(settings: Settings, keys: Option<String>) -> u8 {
    let report = Report::new(settings.ready_file.as_deref());
    match Worker::open(&settings, keys.as_deref()).await {
        Ok(worker) => worker.work(settings, report).await,
        Err(error) => {
            report.failed(&error);
            1
        }
    }
}

/// A server that listens.
struct Worker {
    server: Arc<Server>,
    life: Life,
    host: String,
    port: u16,
    stop: watch::Sender<bool>,
    connections: JoinHandle<()>,
}

impl Worker {
    async fn open(settings: &Settings, keys: Option<&str>) -> Result<Worker, WorkerError> {
        let process = |source: std::io::Error| WorkerError::Process { source };
        let life = Life::watch(settings.parent).map_err(process)?;
        let (keys, base) = (settings.keys(keys)?, settings.base()?);
        let limits = settings.limits(connections().map_err(process)?);
        let name = settings
            .name
            .clone()
            .unwrap_or_else(|| place::name(&settings.model));
        let server = Server::new(&name, keys, limits, settings.log.as_deref())?;
        let address = std::net::SocketAddr::new(settings.host, settings.port);
        let no_port = |source: std::io::Error| WorkerError::Listen {
            address: address.to_string(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        let host = settings.host.to_string();
        report::listening(&host, port);
        let router = endpoint::router(Arc::clone(&server), &base);
        let (stop, stopped) = watch::channel(false);
        let connections = tokio::spawn(listen::listen(listener, router, limits, stopped));
        Ok(Worker {
            server,
            life,
            host,
            port,
            stop,
            connections,
        })
    }

    async fn work(mut self, settings: Settings, report: Report) -> u8 {
        let drain = Duration::from_secs(settings.drain);
        let idle = settings.idle.map(Duration::from_secs);
        let server = Arc::clone(&self.server);
        let loading = tokio::task::spawn_blocking(move || load_into(&server, &settings));
        let loaded = tokio::select! {
            loaded = loading => loaded.unwrap_or_else(|panic| Err(WorkerError::Panic {
                reason: panic_words(panic),
            })),
            // Nobody has been answered yet, so there is nothing to finish.
            _ = self.life.end() => return 0,
        };
        match loaded {
            Ok(summary) => report.ready(&self.about(&summary)),
            Err(error) => {
                self.server.fail(&error.to_string());
                report.failed(&error);
                return 1;
            }
        }
        let end = tokio::select! {
            end = self.life.end() => end,
            () = rested(&self.server, idle) => End::Told,
            () = tidy(&self.server) => End::Told,
        };
        match end {
            End::Told => self.drain(drain).await,
            End::Orphaned => 1,
        }
    }

    fn about(&self, summary: &Value) -> Value {
        let mut about = summary.clone();
        about["host"] = self.host.as_str().into();
        about["port"] = self.port.into();
        about["pid"] = std::process::id().into();
        about["model"] = self.server.name().into();
        about
    }

    /// Finishes what is under way, for `limit` at most. A second signal, or the parent's end, stops that at once.
    async fn drain(mut self, limit: Duration) -> u8 {
        self.server.drain();
        tokio::select! {
            _ = tokio::time::timeout(limit, self.server.idle()) => {}
            _ = self.life.end() => return 1,
        }
        self.stop.send_replace(true);
        tokio::select! {
            _ = tokio::time::timeout(GOODBYE, self.connections) => 0,
            _ = self.life.end() => 1,
        }
    }
}

/// Ends when nobody has asked for `idle`; never when that is not wanted.
async fn rested(server: &Server, idle: Option<Duration>) {
    match idle {
        Some(time) => server.rested(time).await,
        None => std::future::pending().await,
    }
}

/// Gives memory back whenever nobody has asked for a moment; never ends.
async fn tidy(server: &Server) {
    loop {
        server.rested(MOMENT).await;
        // It takes some milliseconds; one that panics has given nothing back, and that is all.
        let model = server.model();
        let given_back = tokio::task::spawn_blocking(move || {
            memory::give_back();
            if let Some(model) = model {
                model.give_back();
            }
        });
        let _ = given_back.await;
        server.stirred().await;
    }
}

/// Loads the model and hands it to the server; gives what there is to say of it.
fn load_into(server: &Server, settings: &Settings) -> Result<Value, WorkerError> {
    if let Some(threads) = settings.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| WorkerError::Process {
                source: std::io::Error::other(error),
            })?;
    }
    let mut told = Progress::default();
    let mut progress = |done, total| {
        server.loading(done, total);
        told.step(done, total);
    };
    let path = place::find(&settings.model, &mut progress)?;
    progress(0, bytes(&path));
    let loaded = load::load(&path, settings, &mut progress)?;
    let summary = about(&loaded);
    // What was needed for reading only is gone now.
    memory::give_back();
    server.serve(loaded);
    Ok(summary)
}

fn about(served: &Served) -> Value {
    let (kind, context) = match &served.kind {
        Kind::Writer(writer) => ("text", writer.engine.context()),
        Kind::Encoder(encoder) => ("embedding", encoder.info().max_tokens),
    };
    json!({ "kind": kind, "context": context, "summary": served.summary })
}

/// Bytes of a model's weights.
fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |about| about.len());
    let Ok(files) = std::fs::read_dir(path) else {
        return size(path);
    };
    files
        .flatten()
        .map(|file| file.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "safetensors")
        })
        .map(|path| size(&path))
        .sum()
}

/// As many connections as the system lets this process have, which is asked for all that it may have.
fn connections() -> std::io::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // When it stays as it was, fewer connections are possible, and that is all.
    let files = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    let connections = files.saturating_sub(OTHER_FILES).max(16);
    Ok(usize::try_from(connections).unwrap_or(usize::MAX))
}

fn panic_words(panic: tokio::task::JoinError) -> String {
    let Ok(panic) = panic.try_into_panic() else {
        return "it was stopped".to_owned();
    };
    panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked".to_owned())
}
