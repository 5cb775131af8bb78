//! A small Debian or Ubuntu as this machine has it, made by debootstrap, for machines that reach no registry.
//!
//! While images are made of it, apt asks the mirrors of this machine, which are lent to the builder; the image itself names
//! those of the project, for wherever it will run. It is made anew when `apt-get update` has brought newer lists.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use super::engine::{Build, Engine};
use super::here::remove;
use crate::advice::Advice;
use crate::places::Places;
use crate::process;
use crate::say::Say;

/// The label with the age of the packages: when the newest list of them was made, in seconds since 1970.
const AGE: &str = "dev.mlk8s.packages";
/// Where the lines of this machine come from.
const ASK: [&str; 4] = [
    "indextargets",
    "--format",
    "$(RELEASE) $(COMPONENT) $(REPO_URI) $(FILENAME)",
    "Created-By: Packages",
];

/// The image, and what apt is to be lent while others are made of it.
pub(super) struct Base {
    pub(super) tag: String,
    pub(super) sources: PathBuf,
}

/// The system of this machine.
#[derive(Debug, PartialEq, Eq)]
struct System {
    /// `debian` or `ubuntu`, or what is made of them.
    id: String,
    codename: String,
    /// What apt knows of its packages.
    lists: Vec<List>,
}

/// A list of packages.
#[derive(Debug, PartialEq, Eq)]
struct List {
    suite: String,
    component: String,
    mirror: String,
    file: PathBuf,
}

/// Makes the image of this machine's system, unless it is there and as new as the lists of its packages.
pub(super) fn make(places: &Places, engine: &Engine, say: &mut Say) -> Result<Base> {
    let system = System::here()?;
    let lent = places.state.join("image");
    std::fs::create_dir_all(&lent)?;
    let base = Base {
        tag: engine.tag("base", &system.codename),
        sources: lent.join("sources.list"),
    };
    std::fs::write(&base.sources, system.sources_here()).context("writing what apt is lent")?;
    let label = (AGE, system.age().to_string());
    if engine.has(&base.tag, &label)? {
        return Ok(base);
    }
    say.heading(&format!(
        "Making a small {} with debootstrap: a minute or two",
        system.codename
    ));
    let work = lent.join("base");
    remove(&work)?;
    std::fs::create_dir_all(&work)?;
    system.unpack(&work)?;
    engine.build(&Build {
        tag: &base.tag,
        file: &places.root.join("images/base/Containerfile"),
        context: &work,
        arguments: Vec::new(),
        lent: &lent,
        sources: Some(&base.sources),
        label: Some(label),
    })?;
    remove(&work)?;
    Ok(base)
}

impl System {
    fn here() -> Result<System> {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let mut command = Command::new("apt-get");
        let lists = process::output(command.args(ASK)).unwrap_or_default();
        System::read(&release, &lists).ok_or_else(|| {
            Advice::error(
                "apt does not say where it gets this system from",
                "`sudo apt-get update` fetches its lists; on other systems than Debian and Ubuntu name an image: \
                 `--with BASE=docker.io/library/debian:bookworm-slim`",
            )
        })
    }

    /// From the text of `os-release` and the lines of apt; nothing where they do not name the system's own packages.
    fn read(release: &str, lists: &str) -> Option<System> {
        let value = |name: &str| {
            let mut lines = release.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"').to_owned())
        };
        let codename = value("VERSION_CODENAME")?;
        let id = value("ID")?;
        let is_own = |suite: &str, component: &str| {
            let rest = suite.strip_prefix(&codename);
            rest.is_some_and(|rest| matches!(rest, "" | "-updates" | "-security"))
                && components(&id).contains(&component)
        };
        let lists: Vec<List> = lists
            .lines()
            .filter_map(|line| {
                let mut words = line.splitn(4, ' ');
                let (suite, component) = (words.next()?, words.next()?);
                let (mirror, file) = (words.next()?, words.next()?);
                is_own(suite, component).then(|| List {
                    suite: suite.to_owned(),
                    component: component.to_owned(),
                    mirror: mirror.to_owned(),
                    file: file.into(),
                })
            })
            .collect();
        let system = System {
            id,
            codename,
            lists,
        };
        system.mirror().is_some().then_some(system)
    }

    /// Where the release itself comes from.
    fn mirror(&self) -> Option<&str> {
        let is_it = |list: &&List| list.suite == self.codename && list.component == "main";
        let list = self.lists.iter().find(is_it)?;
        Some(&list.mirror)
    }

    /// When the newest of the lists was made, as the mirror says.
    fn age(&self) -> u64 {
        let times = self.lists.iter().filter_map(|list| {
            let time = std::fs::metadata(&list.file).ok()?.modified().ok()?;
            Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
        });
        times.max().unwrap_or_default()
    }

    /// The lines of apt by which this machine gets its packages.
    fn sources_here(&self) -> String {
        let mut parts: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for list in &self.lists {
            let parts = parts
                .entry((list.suite.as_str(), list.mirror.as_str()))
                .or_default();
            if !parts.contains(&list.component.as_str()) {
                parts.push(&list.component);
            }
        }
        let mut text = String::new();
        for ((suite, mirror), components) in parts {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "deb {mirror} {suite} {}", components.join(" "));
        }
        text
    }

    /// The lines of apt by which anybody gets them.
    fn sources_of_all(&self, architecture: &str) -> String {
        let (main, security) = match (self.id.as_str(), architecture) {
            ("ubuntu", "x86_64") => (
                "http://archive.ubuntu.com/ubuntu",
                "http://security.ubuntu.com/ubuntu",
            ),
            ("ubuntu", _) => (
                "http://ports.ubuntu.com/ubuntu-ports",
                "http://ports.ubuntu.com/ubuntu-ports",
            ),
            _ => (
                "http://deb.debian.org/debian",
                "http://deb.debian.org/debian-security",
            ),
        };
        let (name, parts) = (&self.codename, components(&self.id).join(" "));
        format!(
            "deb {main} {name} {parts}\ndeb {main} {name}-updates {parts}\ndeb {security} {name}-security {parts}\n"
        )
    }

    /// Makes the system, as `debian.tar` in the folder `work`.
    fn unpack(&self, work: &Path) -> Result<()> {
        let root = work.join("root");
        let mut command = Command::new("debootstrap");
        command
            .arg("--variant=minbase")
            .arg(format!("--components={}", components(&self.id).join(",")))
            .arg(&self.codename)
            .arg(&root)
            .args(self.mirror());
        process::output(&mut command).map_err(|error| {
            Advice::error(
                format!("debootstrap made no system: {error:#}"),
                "`sudo apt-get install debootstrap`; it must run as root\n\
                 or name an image: `--with BASE=docker.io/library/debian:bookworm-slim`",
            )
        })?;
        // They are this machine's.
        for name in ["etc/hostname", "etc/resolv.conf", "var/log/bootstrap.log"] {
            match std::fs::remove_file(root.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing `{name}` of the base"));
                }
                _ => {}
            }
        }
        let sources = self.sources_of_all(std::env::consts::ARCH);
        std::fs::write(root.join("etc/apt/sources.list"), sources)
            .context("writing where the base gets packages from")?;
        for cache in ["var/cache/apt/archives", "var/lib/apt/lists"] {
            let cache = root.join(cache);
            remove(&cache)?;
            std::fs::create_dir_all(cache.join("partial"))?;
        }
        let mut command = Command::new("tar");
        command.arg("-cf").arg(work.join("debian.tar"));
        process::output(command.arg("-C").arg(&root).arg("."))?;
        remove(&root)
    }
}

/// The parts of the archive that our images need: tini is in Ubuntu's `universe`.
fn components(id: &str) -> &'static [&'static str] {
    if id == "ubuntu" {
        &["main", "universe"]
    } else {
        &["main"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str =
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
    const UBUNTU: &str = "VERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\n";

    #[test]
    fn the_image_names_no_mirror_of_this_machine() {
        let lists = "bookworm-security main http://b/security/ /l/1\nbookworm main http://a/debian/ /l/2\n\
                     bookworm-updates main http://a/debian/ /l/3\nbookworm contrib http://a/debian/ /l/4\n\
                     nodistro main http://node/ /l/5\n";
        let system = System::read(DEBIAN, lists).unwrap();
        assert_eq!(system.mirror(), Some("http://a/debian/"));
        assert_eq!(
            system.sources_here(),
            "deb http://a/debian/ bookworm main\ndeb http://b/security/ bookworm-security main\n\
             deb http://a/debian/ bookworm-updates main\n"
        );
        assert_eq!(
            system.sources_of_all("x86_64"),
            "deb http://deb.debian.org/debian bookworm main\ndeb http://deb.debian.org/debian bookworm-updates main\n\
             deb http://deb.debian.org/debian-security bookworm-security main\n"
        );
    }

    #[test]
    fn ubuntu_has_what_we_need_in_two_parts() {
        let lists = "jammy main http://house/ubuntu/ /l/1\njammy universe http://house/ubuntu/ /l/2\n\
                     jammy multiverse http://house/ubuntu/ /l/3\n";
        let system = System::read(UBUNTU, lists).unwrap();
        assert_eq!(
            system.sources_here(),
            "deb http://house/ubuntu/ jammy main universe\n"
        );
        let sources = system.sources_of_all("x86_64");
        assert!(
            sources.starts_with("deb http://archive.ubuntu.com/ubuntu jammy main universe\n"),
            "{sources}"
        );
        assert!(
            system
                .sources_of_all("aarch64")
                .contains("ports.ubuntu.com")
        );
    }

    #[test]
    fn newer_lists_are_another_age() {
        let dir = std::env::temp_dir().join(format!("mlk8s-lists-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut lines = String::new();
        for (name, seconds) in [("old", 1000), ("new", 2000)] {
            let file = std::fs::File::create(dir.join(name)).unwrap();
            let time = UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
            let path = dir.join(name);
            writeln!(lines, "bookworm main http://a/ {}", path.display()).unwrap();
        }
        assert_eq!(System::read(DEBIAN, &lines).unwrap().age(), 2000);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn without_the_lists_of_the_release_nothing_is_guessed() {
        let lists = "trixie main http://a/debian/ /l/1\n";
        assert_eq!(System::read(DEBIAN, lists), None);
        assert_eq!(System::read("ID=arch\n", lists), None);
    }
}
