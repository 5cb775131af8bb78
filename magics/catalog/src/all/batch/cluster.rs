//! A run on the cluster: a Job with the notebook in it, its log while it runs, its files when it has ended.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mlk8s_cluster::cluster::{Cluster, Place};
use mlk8s_cluster::error::ClusterError;
use mlk8s_cluster::job::{JobEvent, JobName, NotebookRun, Phase, ResultFile, Source};

use super::{Batch, Ran, seen_from, took};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};

/// How long a run may take where nothing is said.
const DEADLINE: Duration = Duration::from_hours(12);
/// How much longer the Job may take than the notebook: for the image, and for the report.
const GRACE: Duration = Duration::from_mins(15);
/// Lines of its log that say why a run failed.
const LAST_LINES: usize = 5;
/// What was said last is said again so often.
const RENEWAL: Duration = Duration::from_secs(1);

impl Batch {
    /// Runs the notebook as a Job, or turns to one that runs it already, follows it and fetches what it made.
    ///
    /// An interrupt ends the following, not a Job that was sent: it may have worked for hours.
    pub(super) fn on_cluster(&self, notebook: &Path, call: &mut Call) -> Result<Ran, MagicError> {
        let begun = Instant::now();
        let cancel = call.cancel.clone();
        let stop = || cancel.is_raised();
        let cluster = Cluster::connect(&Place::default())?;
        let job = if let Some(name) = &self.follow {
            // As it was shown, or by its name alone.
            let (namespace, name) = name
                .split_once('/')
                .unwrap_or((cluster.namespace(), name.as_str()));
            JobName {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }
        } else {
            let image = self.image(&cluster, &stop)?;
            cluster.submit(&self.job(notebook, &image)?, &stop)?
        };
        let followed = follow(&cluster, &job, call);
        let (phase, said) = followed.map_err(|error| self.left(&job, error))?;
        let left = match (cluster.result(&job, &stop), &phase) {
            (Ok(left), _) => left,
            (Err(error), _) if error.is_stop() => return Err(self.left(&job, error)),
            // Why it failed counts more than that it left nothing.
            (Err(error), Phase::Failed(why)) => return Err(self.nothing_came(&job, why, &error)),
            (Err(error), _) => return Err(self.left(&job, error)),
        };
        let folder = self.out(call).join(&job.name);
        let home = call.session.resolve(Path::new("."));
        let written = write(&left.files, &folder, &home)?;
        if left.too_big.is_empty() {
            // Its results are here; what is left of it goes by itself after a while.
            let _ = cluster.delete(&job, &stop);
        }
        if let Phase::Failed(why) = phase {
            let name = self.notebook.display();
            let message = format!("`{name}` failed on the cluster: {why}\n{said}");
            let place = seen_from(&home, &folder);
            let hint = format!("`{}` has what came back", place.display());
            return Err(MagicError::new(ErrorKind::Input, message.trim_end()).with_hint(hint));
        }
        let mut facts = vec![
            ("took", took(begun.elapsed())),
            ("files", written.len().to_string()),
        ];
        if !left.too_big.is_empty() {
            facts.push(("too big to come back", left.too_big.join(", ")));
        }
        Ok(Ran {
            title: format!("{} ran to its end as `{job}`", self.notebook.display()),
            facts,
            files: written,
        })
    }

    /// What to say of a Job that is still there when following or fetching it has ended with `error`.
    fn left(&self, job: &JobName, error: ClusterError) -> MagicError {
        let JobName { namespace, name } = job;
        if matches!(error, ClusterError::NotFound { .. }) {
            return MagicError::from(error);
        }
        let notebook = self.notebook.to_string_lossy();
        let notebook = shlex::try_quote(&notebook).unwrap_or_default();
        let first = error.hint().map_or_else(String::new, |hint| hint + "; ");
        MagicError::from(error).with_hint(format!(
            "{first}the Job `{job}` is still there: `%batch {notebook} --on cluster --follow {job}` follows it and fetches \
             its report; `kubectl -n {namespace} delete job {name}` ends it"
        ))
    }

    /// What to say of a Job that failed for `why`, and whose results cannot be had because of `error`.
    fn nothing_came(&self, job: &JobName, why: &str, error: &ClusterError) -> MagicError {
        let JobName { namespace, name } = job;
        let message = format!(
            "`{}` failed on the cluster: {why}\nnothing came back: {error}",
            self.notebook.display()
        );
        MagicError::new(ErrorKind::Input, message).with_hint(format!(
            "`kubectl -n {namespace} logs job/{name}` has its log, as long as its pod is there"
        ))
    }

    /// What is sent.
    fn job(&self, notebook: &Path, image: &str) -> Result<NotebookRun, MagicError> {
        let bytes = std::fs::read(notebook).map_err(|error| {
            let message = format!("cannot read `{}`: {error}", self.notebook.display());
            MagicError::new(ErrorKind::Input, message)
        })?;
        let file = notebook.file_name().unwrap_or_default().to_string_lossy();
        let source = Source::Inline {
            file: file.into_owned(),
            bytes,
        };
        let time = self.deadline().unwrap_or(DEADLINE);
        let parameters = self.parameters.iter();
        Ok(NotebookRun {
            // It ends by itself before the Job is ended, whose log would be lost with the report in it.
            command: vec![
                "mlk8s-batch".to_owned(),
                format!("--timeout={}", time.as_secs()),
            ],
            gpus: self.gpus,
            parameters: parameters
                .map(|one| (one.name.clone(), one.value.clone()))
                .collect(),
            deadline: time.saturating_add(GRACE),
            ..NotebookRun::new(&self.stem(), image, source)
        })
    }

    /// The image that was named, else that of this pod.
    fn image(
        &self,
        cluster: &Cluster,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<String, MagicError> {
        let named = self
            .image
            .clone()
            .or_else(|| std::env::var("MLK8S_IMAGE").ok());
        if let Some(image) = named.filter(|image| !image.is_empty()) {
            return Ok(image);
        }
        cluster.own_image(stop)?.ok_or_else(|| {
            let message = "no image was named for the run on the cluster";
            MagicError::new(ErrorKind::Usage, message)
                .with_hint("`--image IMAGE` or MLK8S_IMAGE names one with mlk8s, such as that of your notebook")
        })
    }
}

/// How the run ended, and the last lines of its log.
fn follow(
    cluster: &Cluster,
    job: &JobName,
    call: &mut Call,
) -> Result<(Phase, String), ClusterError> {
    let (cancel, progress) = (call.cancel.clone(), call.progress);
    let mut last: VecDeque<String> = VecDeque::new();
    // A Job that waits says one thing, once: it stays in sight, with the time that has passed.
    let news = Mutex::new((String::new(), Instant::now()));
    let stop = || {
        let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.1.elapsed() >= RENEWAL {
            news.1 = Instant::now();
            progress.report(0, 0, &news.0);
        }
        cancel.is_raised()
    };
    let tell = |what: String| {
        progress.report(0, 0, &what);
        *news.lock().unwrap_or_else(PoisonError::into_inner) = (what, Instant::now());
    };
    let followed = cluster.follow(job, &stop, &mut |event| match event {
        JobEvent::Phase(phase) => tell(phase.to_string()),
        JobEvent::Line(line) => {
            tell(line.clone());
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
        JobEvent::Silence(why) => tell(format!("no news: {why}")),
    });
    Ok((followed?.phase, Vec::from(last).join("\n")))
}

/// Writes what a run left; the files as they are seen from `home`.
fn write(
    files: &[ResultFile],
    folder: &Path,
    home: &Path,
) -> Result<Vec<(&'static str, PathBuf)>, MagicError> {
    let mut written = Vec::new();
    for file in files {
        let path = folder.join(&file.name);
        let parent = path.parent().unwrap_or(folder);
        let done =
            std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, &file.bytes));
        done.map_err(|error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            MagicError::new(ErrorKind::Internal, message)
                .with_hint("the Job is still there: with `--out DIR` for another folder, `--on cluster --follow JOB` fetches it again")
        })?;
        let name = match path.extension().and_then(|end| end.to_str()) {
            Some("html") => "report",
            Some("ipynb") => "notebook with its results",
            _ => "file",
        };
        written.push((name, seen_from(home, &path)));
    }
    Ok(written)
}
