//! What an apply did, or would do, in lines.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::denied::{self, Denied, Purpose};
use crate::manifest::apply::{Applied, Change, How, Step};

/// Changes of one object that are written.
const SHOWN: usize = 8;

/// Writes what became of the objects; the status is that of the program.
pub(super) fn write(applied: &Applied, how: How, out: &mut dyn Write) -> io::Result<ExitCode> {
    let (mut created, mut changed, mut unchanged, mut untried) = (0, 0, 0, 0);
    for one in &applied.steps {
        *match &one.change {
            Change::Created => &mut created,
            Change::Changed(_) => &mut changed,
            Change::Unchanged => &mut unchanged,
            Change::Untried => &mut untried,
        } += 1;
        step(one, out)?;
    }
    for object in &applied.skipped {
        writeln!(
            out,
            "- {object}: left out, the cluster does not have its kind"
        )?;
    }
    for refused in &applied.refused {
        writeln!(out, "! {}: {}", refused.object, below(&refused.why))?;
        if !refused.hint.is_empty() && refused.denied.is_empty() {
            writeln!(out, "    hint: {}", refused.hint)?;
        }
    }
    let denied: Vec<Denied> = applied
        .refused
        .iter()
        .flat_map(|one| one.denied.clone())
        .collect();
    if let Some(role) = denied::role_to_ask_for(&denied, Purpose::Apply) {
        writeln!(
            out,
            "an administrator can allow it with this:\n{}",
            role.trim_end()
        )?;
    }
    let untried = if untried == 0 {
        String::new()
    } else {
        format!(", {untried} not tried")
    };
    let is_whole = applied.refused.is_empty() && applied.broken.is_none();
    // What became of them stands below.
    let would = if is_whole && !how.dry_run {
        ""
    } else {
        " would be"
    };
    writeln!(
        out,
        "{created}{would} created, {changed} changed, {unchanged} unchanged{untried}"
    )?;
    if !applied.refused.is_empty() {
        let refused = applied.refused.len();
        writeln!(out, "the cluster will not have {refused} of them")?;
    }
    if let Some(broken) = &applied.broken {
        let object = broken.object.as_deref().unwrap_or("between two objects");
        writeln!(out, "it ended at {object}: {}", below(&broken.why))?;
        if !broken.hint.is_empty() {
            writeln!(out, "    hint: {}", broken.hint)?;
        }
    }
    if !is_whole {
        done(applied, how, out)?;
        return Ok(ExitCode::FAILURE);
    }
    if how.dry_run {
        writeln!(out, "tried, not done (`--dry-run`)")?;
    } else {
        writeln!(out, "applied {} objects", applied.made.len())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what is new about an object and what is warned of; nothing where there is neither.
fn step(step: &Step, out: &mut dyn Write) -> io::Result<()> {
    let object = &step.object;
    match &step.change {
        Change::Created => writeln!(out, "+ {object}")?,
        Change::Changed(fields) => {
            writeln!(out, "~ {object}")?;
            for field in fields.iter().take(SHOWN) {
                writeln!(out, "    {field}")?;
            }
            if fields.len() > SHOWN {
                writeln!(out, "    and {} more", fields.len() - SHOWN)?;
            }
        }
        Change::Unchanged if step.warnings.is_empty() => {}
        Change::Unchanged => writeln!(out, "= {object}")?,
        Change::Untried => writeln!(out, "? {object}: its namespace is not there yet")?,
    }
    for warning in &step.warnings {
        writeln!(out, "    warning: {warning}")?;
    }
    Ok(())
}

/// What a server said, its further lines below the first.
fn below(said: &str) -> String {
    said.trim_end().replace('\n', "\n    ")
}

/// Writes how far an apply came that did not come to its end.
fn done(applied: &Applied, how: How, out: &mut dyn Write) -> io::Result<()> {
    let doubt = applied.broken.as_ref().filter(|broken| broken.is_in_doubt);
    let doubt = doubt.and_then(|broken| broken.object.as_deref());
    if how.dry_run || (applied.made.is_empty() && doubt.is_none()) {
        return writeln!(out, "nothing was done");
    }
    for object in &applied.made {
        writeln!(out, "applied: {object}")?;
    }
    if let Some(object) = doubt {
        writeln!(
            out,
            "may be applied: {object}, which the cluster has not confirmed"
        )?;
    }
    for object in &applied.unreached {
        writeln!(out, "not reached: {object}")?;
    }
    writeln!(
        out,
        "{} applied, {} not reached; the same command goes on from here: what is applied stays as it is",
        applied.made.len(),
        applied.unreached.len()
    )
}
