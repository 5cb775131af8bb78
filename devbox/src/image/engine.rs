//! The program that builds images: podman, buildah or docker, and what each wants to be told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::advice::Advice;
use crate::{process, settings};

/// In the order in which they are looked for.
const ENGINES: [&str; 3] = ["podman", "buildah", "docker"];
/// A store of its own has settings that work as root on a plain machine, on one with both sorts of control groups, and in
/// a container with low limits.
const CONTAINERS: &str = r#"[containers]
default_ulimits = ["nofile=20000:20000", "nproc=9000:9000"]
netns = "host"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"#;

/// Has apt ask the mirrors that it is lent, and no others.
const APT: &str = "Dir::Etc::SourceList \"/run/sources.list\";\nDir::Etc::SourceParts \"-\";\n";

/// The program, and the variables of its store.
pub(super) struct Engine {
    program: String,
    store: Option<PathBuf>,
}

/// An image to be built.
pub(super) struct Build<'a> {
    pub(super) tag: &'a str,
    pub(super) file: &'a Path,
    /// The folder that the builder sees.
    pub(super) context: &'a Path,
    pub(super) arguments: Vec<(String, String)>,
    /// Where files are written that the builder is lent.
    pub(super) lent: &'a Path,
    /// What apt asks for packages meanwhile, in place of what the image names.
    pub(super) sources: Option<&'a Path>,
    /// A label of the image.
    pub(super) label: Option<(&'static str, String)>,
}

impl Engine {
    /// The one that was asked for, else the first that answers.
    pub(super) fn find(named: Option<&str>, store: Option<&Path>) -> Result<Engine> {
        if let Some(store) = store {
            write_settings(store).with_context(|| format!("making `{}`", store.display()))?;
        }
        let engine = |program: &str| Engine {
            program: program.to_owned(),
            store: store.map(Path::to_owned),
        };
        let all: Vec<&str> = named.map_or(ENGINES.to_vec(), |name| vec![name]);
        let found = all.iter().map(|name| engine(name)).find(Engine::answers);
        found.ok_or_else(|| {
            Advice::error(
                format!("none of these works here: {}", all.join(", ")),
                "Debian: `sudo apt-get install podman buildah runc`; docker needs its daemon: `docker info` says what is wrong",
            )
        })
    }

    fn answers(&self) -> bool {
        // The client of docker is there on machines without the daemon, and only `info` tells.
        let asked = self
            .command()
            .arg("info")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }

    fn command(&self) -> Command {
        let mut command = process::clean_command(&self.program);
        // Before version 23 the client asks for the builder that knows no mounts, unless it is told.
        command.env("DOCKER_BUILDKIT", "1");
        if let Some(store) = &self.store {
            command
                .env("CONTAINERS_CONF", store.join("containers.conf"))
                .env("CONTAINERS_STORAGE_CONF", store.join("storage.conf"));
        }
        command
    }

    /// Builds on this terminal. The image that had the name before goes, unless something still uses it.
    pub(super) fn build(&self, build: &Build<'_>) -> Result<()> {
        let old = self.id(build.tag)?;
        let mut command = self.command();
        command
            .arg("build")
            .arg("--file")
            .arg(build.file)
            .args(["--tag", build.tag]);
        if self.program != "docker" {
            // Only that format has a health check.
            command.args(["--layers", "--format", "docker"]);
        }
        if self.store.is_some() {
            command.args(["--isolation", "chroot", "--network", "host"]);
        }
        for (name, value) in &build.arguments {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        }
        if let Some((name, value)) = &build.label {
            command.arg("--label").arg(format!("{name}={value}"));
        }
        let mut all = lend(build.lent)?;
        if let Some(sources) = build.sources {
            // Not in the place of the image's own file: older builders remove that afterwards.
            let conf = build.lent.join("apt.conf");
            fs::write(&conf, APT).context("writing what apt is lent")?;
            all.extend([("apt.conf", conf), ("sources.list", sources.to_owned())]);
        }
        for (id, path) in all {
            command
                .arg("--secret")
                .arg(format!("id={id},src={}", path.display()));
        }
        process::inherit(command.arg(build.context))?;
        if let Some(old) = old
            && self.id(build.tag)?.as_ref() != Some(&old)
        {
            // A container may run on it.
            let _ = self
                .command()
                .args(["rmi", &old])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
        Ok(())
    }

    /// The number of the image called `tag`, if there is one.
    pub(super) fn id(&self, tag: &str) -> Result<Option<String>> {
        // buildah fails where there is none.
        let asked = self
            .command()
            .args(["images", "--quiet", "--no-trunc", tag])
            .output();
        let said = asked.with_context(|| format!("starting `{}`", self.program))?;
        let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        Ok((said.status.success() && !text.is_empty()).then_some(text))
    }

    /// Whether there is an image called `tag` with this label.
    pub(super) fn has(&self, tag: &str, (name, value): &(&str, String)) -> Result<bool> {
        let mut command = self.command();
        command.args(["images", "--quiet", "--filter"]);
        command.arg(format!("reference={tag}"));
        command.arg("--filter").arg(format!("label={name}={value}"));
        let said = command.output();
        let said = said.with_context(|| format!("starting `{}`", self.program))?;
        Ok(said.status.success() && !said.stdout.trim_ascii().is_empty())
    }

    /// What our image `name` is called, as the manifests name it; podman and buildah keep what has no registry below
    /// `localhost`.
    pub(super) fn tag(&self, name: &str, version: &str) -> String {
        let local = if self.program == "docker" {
            ""
        } else {
            "localhost/"
        };
        format!("{local}mlk8s/{name}:{version}")
    }

    /// Lists our images on this terminal.
    pub(super) fn list(&self) -> Result<()> {
        process::inherit(
            self.command()
                .args(["images", "--filter", "reference=*mlk8s/*"]),
        )
    }
}

fn write_settings(store: &Path) -> Result<()> {
    fs::create_dir_all(store)?;
    let place = |name: &str| store.join(name);
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
        place("storage").display(),
        place("run").display()
    );
    fs::write(place("containers.conf"), CONTAINERS)?;
    fs::write(place("storage.conf"), storage)?;
    Ok(())
}

/// What pip is lent where a proxy signs for others: the certificates, and the word to use them. Nothing of it stays in
/// the image.
fn lend(dir: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let Some(certificates) = settings::certificates() else {
        return Ok(Vec::new());
    };
    fs::create_dir_all(dir)?;
    let conf = dir.join("pip.conf");
    fs::write(&conf, "[global]\ncert = /run/ca.crt\n").context("writing what pip is lent")?;
    Ok(vec![("pip.conf", conf), ("ca.crt", certificates)])
}
