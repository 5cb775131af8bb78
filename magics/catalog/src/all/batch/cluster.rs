//! A run on the cluster: a Job with the notebook in it, its log while it runs, its files when it has ended.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
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

impl Batch {
    /// Runs the notebook as a Job, follows it and fetches what it made.
    pub(super) fn on_cluster(&self, notebook: &Path, call: &mut Call) -> Result<Ran, MagicError> {
        let begun = Instant::now();
        let run = self.job(notebook)?;
        let cluster = Cluster::connect(&Place::default())?;
        let job = cluster.submit(&run)?;
        let (phase, said) = follow(&cluster, &job, call)?;
        let (files, missing) = match (cluster.result(&job), &phase) {
            (Ok(left), _) => (left.files, left.too_big),
            // Why it failed counts more than that it left nothing.
            (Err(_), Phase::Failed(_)) => (Vec::new(), Vec::new()),
            (Err(error), _) => {
                let hint = format!("the Job `{job}` is still there, with its log");
                return Err(MagicError::from(error).with_hint(hint));
            }
        };
        let folder = self.out(call).join(&job.name);
        let home = call.session.resolve(Path::new("."));
        let written = write(&files, &folder, &home)?;
        if missing.is_empty() {
            // Its results are here; what is left of it goes by itself after a while.
            let _ = cluster.delete(&job);
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
        if !missing.is_empty() {
            facts.push(("too big to come back", missing.join(", ")));
        }
        Ok(Ran {
            title: format!("{} ran to its end as `{job}`", self.notebook.display()),
            facts,
            files: written,
        })
    }

    /// What is sent.
    fn job(&self, notebook: &Path) -> Result<NotebookRun, MagicError> {
        let image = self.image()?;
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
            deadline: time + GRACE,
            ..NotebookRun::new(&self.stem(), &image, source)
        })
    }

    fn image(&self) -> Result<String, MagicError> {
        let named = self
            .image
            .clone()
            .or_else(|| std::env::var("MLK8S_IMAGE").ok());
        named.filter(|image| !image.is_empty()).ok_or_else(|| {
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
) -> Result<(Phase, String), MagicError> {
    let (cancel, progress) = (call.cancel.clone(), call.progress);
    let mut last: VecDeque<String> = VecDeque::new();
    let followed = cluster.follow(job, &|| cancel.is_raised(), &mut |event| match event {
        JobEvent::Phase(phase) => progress.report(0, 0, &phase.to_string()),
        JobEvent::Line(line) => {
            progress.report(0, 0, &line);
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
        JobEvent::Silence(why) => progress.report(0, 0, &format!("no news: {why}")),
    });
    match followed {
        Ok(state) => Ok((state.phase, Vec::from(last).join("\n"))),
        Err(error) => Err(left(cluster, job, error)),
    }
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
                .with_hint("`--out DIR` names another folder; the Job is still there")
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

/// What becomes of a run that is not followed to its end: one that nobody wants must not hold a GPU, one that only cannot be
/// seen for the moment goes on.
fn left(cluster: &Cluster, job: &JobName, error: ClusterError) -> MagicError {
    let JobName { namespace, name } = job;
    let hint = if !matches!(error, ClusterError::Cancelled) {
        format!("it goes on: `kubectl -n {namespace} logs -f job/{name}` follows it")
    } else if cluster.delete(job).is_ok() {
        format!("the Job `{job}` was removed")
    } else {
        format!("`kubectl -n {namespace} delete job {name}` removes what is left of it")
    };
    MagicError::from(error).with_hint(hint)
}
