//! `cargo devbox doctor`: what this machine has, what is missing and how to get it.

use anyhow::Result;

use crate::advice::Advice;
use crate::machine::{self, Finding, Need};
use crate::places::Places;
use crate::python::Python;
use crate::say::Say;

/// Prints the table; an error if something is missing that nothing works without.
pub(crate) fn run(places: &Places, say: &mut Say) -> Result<()> {
    let (findings, _) = machine::look(places);
    for line in table(&findings) {
        say.line(&line);
    }
    say.line("");
    for (what, path) in [
        ("checkout", &places.root),
        ("build", &places.target),
        ("state", &places.state),
        ("Python", &places.venv),
    ] {
        let there = if path.exists() { "" } else { " (not made yet)" };
        say.line(&format!("{what:<9} {}{there}", path.display()));
    }
    refuse(&findings)
}

/// Looks at the machine before work begins; an error that lists everything that must be installed.
pub(crate) fn check(places: &Places, say: &mut Say) -> Result<Python> {
    let started = std::time::Instant::now();
    let (findings, python) = machine::look(places);
    refuse(&findings)?;
    for finding in &findings {
        if finding.need == Need::Better && !finding.good && finding.found.is_some() {
            say.warning(&format!("{}: {}", finding.name, finding.how));
        }
    }
    let found: Vec<String> = findings
        .iter()
        .filter(|finding| finding.need == Need::Must)
        .filter_map(|finding| finding.found.clone())
        .take(1)
        .chain(
            python
                .iter()
                .map(|p| format!("Python {}", p.version_text())),
        )
        .collect();
    let text = format!("this machine has what is needed: {}", found.join(", "));
    say.done("checks", &text, started.elapsed());
    python.ok_or_else(|| Advice::error("no Python was found", "install Python 3.9 or newer"))
}

fn refuse(findings: &[Finding]) -> Result<()> {
    let missing: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.need == Need::Must && !finding.good)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing
        .iter()
        .map(|finding| match &finding.found {
            Some(found) => format!("{} (found: {found})", finding.name),
            None => finding.name.to_owned(),
        })
        .collect();
    let how: Vec<String> = missing
        .iter()
        .map(|finding| format!("{}: {}", finding.name, finding.how))
        .collect();
    Err(Advice::error(
        format!("this machine lacks: {}", names.join(", ")),
        how.join("\n"),
    ))
}

fn table(findings: &[Finding]) -> Vec<String> {
    let word = |finding: &Finding| match (finding.good, finding.need) {
        (true, _) => "ok",
        (false, Need::Must) => "MISSING",
        (false, Need::Tests) => "tests only",
        (false, Need::Better) => "optional",
    };
    findings
        .iter()
        .map(|finding| {
            let found = finding.found.as_deref().unwrap_or("-");
            let line = format!("{:<12} {:<10} {found}", finding.name, word(finding));
            match (finding.good, finding.need) {
                (true, _) => line,
                (false, Need::Better) => format!("{line}\n{:23} {}", "", finding.how),
                (false, _) => format!("{line}\n{:23} get it: {}", "", finding.how),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn findings() -> Vec<Finding> {
        let finding = |name, need, found: Option<&str>, good, how: &str| Finding {
            name,
            need,
            found: found.map(str::to_owned),
            good,
            how: how.to_owned(),
        };
        vec![
            finding(
                "rustc",
                Need::Must,
                Some("rustc 1.80.0"),
                false,
                "rustup update stable",
            ),
            finding("C compiler", Need::Must, Some("cc 12.2"), true, ""),
            finding(
                "Python venv",
                Need::Must,
                None,
                false,
                "sudo apt-get install python3-venv",
            ),
            finding(
                "Chromium",
                Need::Tests,
                None,
                false,
                "sudo apt-get install chromium",
            ),
        ]
    }

    #[test]
    fn the_table_says_how_to_get_what_is_missing() {
        expect![[r"
            rustc        MISSING    rustc 1.80.0
                                    get it: rustup update stable
            C compiler   ok         cc 12.2
            Python venv  MISSING    -
                                    get it: sudo apt-get install python3-venv
            Chromium     tests only -
                                    get it: sudo apt-get install chromium"]]
        .assert_eq(&table(&findings()).join("\n"));
    }

    #[test]
    fn everything_missing_is_named_at_once() {
        let error = refuse(&findings()).unwrap_err();
        expect![[r"
            this machine lacks: rustc (found: rustc 1.80.0), Python venv
            rustc: rustup update stable
            Python venv: sudo apt-get install python3-venv"]]
        .assert_eq(&format!("{error}\n{}", Advice::hint_of(&error).unwrap()));
    }
}
