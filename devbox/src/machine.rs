//! What this machine has, and how to get what it lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::places::Places;
use crate::python::Python;
use crate::{browser, process, python, settings};

/// Free disk space for a build from nothing: it takes 7 GiB, and notebooks need some too.
const FULL_BUILD_GIB: f64 = 10.0;
/// Free disk space for work on top of a finished build.
const NEXT_BUILD_GIB: f64 = 1.0;
/// Memory with which two compiler processes work on the biggest crates at the same time.
const MEMORY_GIB: f64 = 3.8;

/// How much depends on a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing works without it.
    Must,
    /// The browser tests are skipped without it.
    Tests,
    /// Things are slower or less sure without it.
    Better,
}

/// One thing that was looked for.
#[derive(Debug)]
pub(crate) struct Finding {
    /// What it is.
    pub(crate) name: &'static str,
    /// How much depends on it.
    pub(crate) need: Need,
    /// What there is, good enough or not.
    pub(crate) found: Option<String>,
    /// Whether that is good enough.
    pub(crate) good: bool,
    /// How to get it, in words for this system.
    pub(crate) how: String,
}

/// Systems that we have words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Debian, Ubuntu and their kin.
    Debian,
    /// Fedora, RHEL and their kin.
    Fedora,
    /// macOS.
    Mac,
    /// Any other.
    Other,
}

impl System {
    /// The system that this is.
    pub(crate) fn here() -> System {
        if cfg!(target_os = "macos") {
            return System::Mac;
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        System::from_release(&release)
    }

    fn from_release(text: &str) -> System {
        let like = |name: &str| {
            text.lines()
                .filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="))
                .any(|line| line.contains(name))
        };
        match () {
            () if like("debian") || like("ubuntu") => System::Debian,
            () if like("fedora") || like("rhel") => System::Fedora,
            () => System::Other,
        }
    }

    /// The words for this system out of those for Debian, Fedora, macOS and others.
    pub(crate) fn words(self, debian: &str, fedora: &str, mac: &str, other: &str) -> String {
        match self {
            System::Debian => debian,
            System::Fedora => fedora,
            System::Mac => mac,
            System::Other => other,
        }
        .to_owned()
    }
}

/// Looks for everything that building and running need; the Python that was found comes along.
pub(crate) fn look(places: &Places) -> (Vec<Finding>, Option<Python>) {
    let system = System::here();
    let python = python::find();
    let uv = python::uv();
    let findings = vec![
        rust("rustc", "rustc"),
        rust("cargo", &settings::cargo().to_string_lossy()),
        c_compiler(system),
        python_finding(python.as_ref(), system),
        venv_finding(python.as_ref(), uv.is_some(), system),
        Finding {
            name: "uv",
            need: Need::Better,
            good: uv.is_some(),
            found: uv,
            how: "not needed: pip does the same, slower".to_owned(),
        },
        disk(places),
        memory(),
        browser_finding(system),
    ];
    (findings, python)
}

fn rust(name: &'static str, program: &str) -> Finding {
    let found = version_line(program, "--version");
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let version = found.as_deref().and_then(numbers);
    Finding {
        name,
        need: Need::Must,
        good: version >= numbers(wanted) && version.is_some(),
        found,
        how: format!(
            "Rust {wanted} or newer: `rustup update stable`; rustup itself: https://rustup.rs"
        ),
    }
}

fn c_compiler(system: System) -> Finding {
    let found = version_line(&settings::c_compiler().to_string_lossy(), "--version");
    Finding {
        name: "C compiler",
        need: Need::Must,
        good: found.is_some(),
        found,
        how: system.words(
            "sudo apt-get install build-essential",
            "sudo dnf install gcc",
            "xcode-select --install",
            "install gcc or clang, so that `cc` works",
        ),
    }
}

fn python_finding(python: Option<&Python>, system: System) -> Finding {
    Finding {
        name: "Python",
        need: Need::Must,
        good: python.is_some_and(Python::new_enough),
        found: python.map(|p| format!("{} ({})", p.version_text(), p.program.display())),
        how: system.words(
            "sudo apt-get install python3 python3-venv (3.9 or newer), or name one in MLK8S_PYTHON",
            "sudo dnf install python3 (3.9 or newer), or name one in MLK8S_PYTHON",
            "brew install python (3.9 or newer), or name one in MLK8S_PYTHON",
            "install Python 3.9 or newer, or name one in MLK8S_PYTHON",
        ),
    }
}

fn venv_finding(python: Option<&Python>, uv: bool, system: System) -> Finding {
    let own = python.is_some_and(|p| p.can_make_venv);
    Finding {
        name: "Python venv",
        need: Need::Must,
        good: own || uv,
        found: match (own, uv) {
            (true, _) => Some("modules venv and ensurepip".to_owned()),
            (false, true) => Some("through uv".to_owned()),
            (false, false) => None,
        },
        how: system.words(
            "sudo apt-get install python3-venv",
            "sudo dnf install python3-pip",
            "brew install python",
            "install the modules venv and ensurepip of your Python, or uv",
        ),
    }
}

fn disk(places: &Places) -> Finding {
    let built = places.built("mlk8s-kernel").exists();
    let wanted = if built {
        NEXT_BUILD_GIB
    } else {
        FULL_BUILD_GIB
    };
    let free = places
        .target
        .ancestors()
        .find(|dir| dir.exists())
        .and_then(free_gib);
    Finding {
        name: "disk",
        need: Need::Must,
        // Where `df` cannot tell, the build will.
        good: free.is_none_or(|free| free >= wanted),
        found: free.map(|free| format!("{free:.0} GiB free")),
        how: format!(
            "free {wanted:.0} GiB at `{}`, or build elsewhere: CARGO_TARGET_DIR=/big/disk",
            places.target.display()
        ),
    }
}

fn memory() -> Finding {
    let total = memory_gib();
    Finding {
        name: "memory",
        need: Need::Better,
        good: total.is_none_or(|total| total >= MEMORY_GIB),
        found: total.map(|total| format!("{total:.0} GiB")),
        how: "with less than 4 GiB build one crate at a time: CARGO_BUILD_JOBS=1".to_owned(),
    }
}

fn browser_finding(system: System) -> Finding {
    let found = browser::find();
    Finding {
        name: "Chromium",
        need: Need::Tests,
        good: found.is_some(),
        found: found.map(|path| path.display().to_string()),
        how: browser::how_to_get(system),
    }
}

/// The first line that `program` answers to `argument`.
pub(crate) fn version_line(program: &str, argument: &str) -> Option<String> {
    let text = process::output(Command::new(program).arg(argument)).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// Major and minor version in `line`.
fn numbers(line: &str) -> Option<(u32, u32)> {
    line.split_whitespace().find_map(|word| {
        let (major, rest) = word.split_once('.')?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

fn free_gib(dir: &Path) -> Option<f64> {
    let text = process::output(Command::new("df").arg("-Pk").arg(dir)).ok()?;
    let kib: f64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib / 1024.0 / 1024.0)
}

fn memory_gib() -> Option<f64> {
    if cfg!(target_os = "macos") {
        let text = process::output(Command::new("sysctl").args(["-n", "hw.memsize"])).ok()?;
        return Some(text.trim().parse::<f64>().ok()? / 1024.0 / 1024.0 / 1024.0);
    }
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(
            numbers("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some((1, 95))
        );
        assert_eq!(numbers("cargo 1.9.0-nightly"), Some((1, 9)));
        assert_eq!(numbers("no version"), None);
    }

    #[test]
    fn systems_are_told_by_their_release_file() {
        let system =
            System::from_release("NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n");
        assert_eq!(system, System::Debian);
        assert_eq!(
            System::from_release("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            System::Fedora
        );
        assert_eq!(System::from_release("ID=arch\n"), System::Other);
    }

    #[test]
    fn this_machine_can_build_what_it_is_testing() {
        assert!(rust("rustc", "rustc").good);
        assert!(!rust("rustc", "no-such-program").good);
    }
}
