//! Every environment variable that the kernel reads, in one place, and what follows from them.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use mlk8s_catalog::models::Who;
use mlk8s_catalog::workers::Programs;

/// Shown below `mlk8s-kernel --help`.
pub(crate) const HELP: &str = "\
Environment:
  MLK8S_STATE           where graphs and the history are kept (else `mlk8s` in $XDG_DATA_HOME or ~/.local/share)
  MLK8S_LEDGER          where calls of models are written down: a file, or `postgres://…` (else `ledger.db` in the state)
  MLK8S_LEDGER_REDACT   `1` keeps the texts of requests and answers out of it
  MLK8S_USER            who calls, in the ledger (else JUPYTERHUB_USER, USER)
  MLK8S_OPENCOST        where OpenCost or Kubecost is, for `%cost cluster`
  OPENAI_BASE_URL       the endpoint `env`
  OPENAI_API_KEY        its key; endpoints may name other variables
  MLK8S_ARTICLES        what `%corpus` reads when it is given no path
  MLK8S_MODELS          directories with models, which magics find by name, separated by `:`
  MLK8S_WORKER          the program that runs models (else `mlk8s-worker` beside this program)
  MLK8S_WORKER_CUDA     the one for GPUs (else `mlk8s-worker-cuda` beside this program)
  MLK8S_BATCH           the program that runs notebooks by themselves (else `mlk8s-batch` of MLK8S_PREFIX, or in PATH)
  MLK8S_IMAGE           the image for `%batch --on cluster` (else, in a pod, its own)
  HF_HOME, HF_HUB_CACHE where models of the hub are kept; HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE are heeded, too
  MLK8S_CUDA            directories with NVRTC and cuBLAS, where the system does not find them
  MLK8S_PREFIX          the Python environment that the kernel belongs to; `install` sets it
  MLK8S_PRELUDE         where the built prelude of Rust cells is (else beside this program, or where it was built)
  MLK8S_PRELUDE_SOURCE  where its source is (else where this program was built)
  JPY_PARENT_PID        set by Jupyter: the kernel ends when this process does
  JPY_SESSION_NAME      set by Jupyter: the notebook, as other notebooks are told whose a model is
  TMPDIR                where cells are compiled";

/// The variable that names the Python environment the kernel belongs to.
pub(crate) const PREFIX: &str = "MLK8S_PREFIX";

/// Where things are for this run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Graphs and the history.
    pub(crate) state_dir: PathBuf,
    /// Where the notebook works.
    pub(crate) work_dir: PathBuf,
    /// What `%corpus` reads by default.
    pub(crate) articles: Option<PathBuf>,
    /// Where calls of models are written down.
    pub(crate) ledger: Option<String>,
    /// Their texts are left out.
    pub(crate) redact: bool,
    /// Who calls.
    pub(crate) user: String,
    /// Directories in which models are looked for by name.
    pub(crate) models: Vec<PathBuf>,
    /// The programs that run models.
    pub(crate) programs: Programs,
    /// The program that runs notebooks by themselves.
    pub(crate) batch: Option<PathBuf>,
    /// Directories with the libraries of CUDA.
    pub(crate) cuda: Vec<PathBuf>,
    /// The notebook, where Jupyter says which it is.
    pub(crate) notebook: Option<String>,
    /// Pythons that may have models as packages.
    pub(crate) pythons: Vec<PathBuf>,
    /// The process whose end is also ours.
    pub(crate) parent: Option<u32>,
}

impl Settings {
    /// What the environment says.
    pub(crate) fn read() -> Settings {
        let work_dir = env::current_dir().unwrap_or_else(|_| env::temp_dir());
        let state_dir =
            non_empty("MLK8S_STATE").map_or_else(|| data_home().join("mlk8s"), PathBuf::from);
        Settings {
            state_dir: work_dir.join(state_dir),
            work_dir,
            articles: non_empty("MLK8S_ARTICLES").map(PathBuf::from),
            ledger: non_empty("MLK8S_LEDGER").and_then(|target| target.into_string().ok()),
            redact: non_empty("MLK8S_LEDGER_REDACT").is_some_and(|value| value != "0"),
            user: ["MLK8S_USER", "JUPYTERHUB_USER", "USER"]
                .into_iter()
                .find_map(|name| non_empty(name)?.into_string().ok())
                .unwrap_or_else(|| "nobody".to_owned()),
            models: models(),
            programs: Programs {
                cpu: program("MLK8S_WORKER", "mlk8s-worker"),
                cuda: program("MLK8S_WORKER_CUDA", "mlk8s-worker-cuda"),
            },
            batch: batch(),
            cuda: non_empty("MLK8S_CUDA")
                .map(|places| env::split_paths(&places).collect())
                .unwrap_or_default(),
            pythons: non_empty(PREFIX)
                .map(|prefix| PathBuf::from(prefix).join("bin/python3"))
                .into_iter()
                .chain(jupyter())
                .chain([PathBuf::from("python3")])
                .collect(),
            notebook: non_empty("JPY_SESSION_NAME").and_then(|name| name.into_string().ok()),
            parent: non_empty("JPY_PARENT_PID").and_then(|id| id.to_str()?.parse().ok()),
        }
    }
}

/// The Python that runs Jupyter, which may be in an environment that is not active: by the name it was started with, since
/// that of an environment is a link.
fn jupyter() -> Option<PathBuf> {
    let id = non_empty("JPY_PARENT_PID")?.into_string().ok()?;
    let words = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let first = String::from_utf8(words.split(|byte| *byte == 0).next()?.to_vec()).ok()?;
    let path = PathBuf::from(first);
    let is_python = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("python"));
    (is_python && path.is_absolute()).then_some(path)
}

impl Settings {
    /// Who asks models in this session, and where that is written down.
    pub(crate) fn who(&self) -> Who {
        let at_home = Who::at(&self.state_dir);
        Who {
            user: self.user.clone(),
            session: uuid::Uuid::new_v4().to_string(),
            ledger: self.ledger.clone().unwrap_or(at_home.ledger),
            redact: self.redact,
        }
    }
}

/// What the variable `name` says of the hub of models.
pub(crate) fn of_hub(name: &str) -> Option<String> {
    non_empty(name)?.into_string().ok()
}

/// The program that runs notebooks: that of the Python environment which the kernel belongs to, else the first in PATH.
fn batch() -> Option<PathBuf> {
    const NAME: &str = "mlk8s-batch";
    if let Some(named) = non_empty("MLK8S_BATCH") {
        return Some(PathBuf::from(named));
    }
    let own = non_empty(PREFIX).map(|prefix| PathBuf::from(prefix).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    own.into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(NAME))
        .find(|program| program.is_file())
}

/// The program that `variable` names, else the one called `name` beside this one, if it is there.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let beside = || Some(env::current_exe().ok()?.with_file_name(name));
    non_empty(variable)
        .map(PathBuf::from)
        .or_else(beside)
        .filter(|path| path.is_file())
}

/// Where models are looked for by name.
fn models() -> Vec<PathBuf> {
    let named = non_empty("MLK8S_MODELS");
    let named = named.iter().flat_map(env::split_paths);
    named.chain([data_home().join("mlk8s/models")]).collect()
}

/// Where a person's data is kept; see the XDG base directory specification.
pub(crate) fn data_home() -> PathBuf {
    let named = non_empty("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    named
        .or_else(|| Some(env::home_dir()?.join(".local/share")))
        .unwrap_or_else(env::temp_dir)
}

/// Where Jupyter looks for the kernelspecs of this person.
pub(crate) fn jupyter_data() -> PathBuf {
    if let Some(named) = non_empty("JUPYTER_DATA_DIR") {
        return PathBuf::from(named);
    }
    match env::home_dir() {
        Some(home) if cfg!(target_os = "macos") => home.join("Library/Jupyter"),
        _ => data_home().join("jupyter"),
    }
}

/// The environment of Python that is active, for `--sys-prefix`.
pub(crate) fn python_prefix() -> Option<PathBuf> {
    non_empty("VIRTUAL_ENV")
        .or_else(|| non_empty("CONDA_PREFIX"))
        .map(PathBuf::from)
}

fn non_empty(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
