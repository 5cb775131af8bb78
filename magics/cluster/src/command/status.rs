//! What a cluster has and does, in lines.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::denied;
use crate::inventory::{Inventory, PodState, Scope};
use crate::manifest::apply::Standing;

/// Lines of one kind that are written.
const SHOWN: usize = 40;

/// Lists that have lines of their own where they did not come: that nothing is there would be another thing.
const MAIN: [&str; 2] = ["nodes", "pods"];

/// Writes what there is to see; the program fails where nothing is.
pub(super) fn write(seen: &Inventory, out: &mut dyn Write) -> io::Result<ExitCode> {
    let scope = match &seen.scope {
        Scope::Cluster => "the whole cluster".to_owned(),
        Scope::Namespace(name) => format!("namespace `{name}`"),
    };
    writeln!(out, "{}, Kubernetes {}, {scope}", seen.server, seen.version)?;
    nodes(seen, out)?;
    pods(seen, out)?;
    others(seen, out)?;
    remarks(seen, out)?;
    if seen.read.is_empty() {
        writeln!(out, "nothing of this cluster could be read")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn nodes(seen: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    if let Some(why) = seen.unread("nodes") {
        writeln!(out, "nodes could not be listed: {why}")?;
    }
    for node in &seen.nodes {
        let gpus = match node.gpus.allocatable {
            0 => String::new(),
            all => format!(
                ", {} of {all} GPUs taken ({})",
                node.gpus.requested,
                node.gpu_model.as_deref().unwrap_or("no product label")
            ),
        };
        writeln!(
            out,
            "node {}: {}, {:.1} of {:.0} cores, {} of {} GiB{gpus}{}",
            node.name,
            if node.ready { "ready" } else { "not ready" },
            node.cpu.requested,
            node.cpu.allocatable,
            node.memory.requested >> 30,
            node.memory.allocatable >> 30,
            after(&node.problem),
        )?;
        for pod in seen.gpu_users(&node.name) {
            writeln!(out, "    {} GPU: {}/{}", pod.gpus, pod.namespace, pod.name)?;
        }
    }
    Ok(())
}

fn pods(seen: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    if let Some(why) = seen.unread("pods") {
        return writeln!(out, "pods could not be listed: {why}");
    }
    let unwell = |state| {
        matches!(
            state,
            PodState::Pending | PodState::Failed | PodState::Crashing | PodState::Unknown
        )
    };
    let counts = [
        PodState::Running,
        PodState::Pending,
        PodState::Crashing,
        PodState::Failed,
        PodState::Succeeded,
    ]
    .map(|state| {
        (
            state.word(),
            seen.pods.iter().filter(|pod| pod.state == state).count(),
        )
    });
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(word, n)| format!("{n} {word}"))
        .collect();
    writeln!(out, "{} pods: {}", seen.pods.len(), counts.join(", "))?;
    for pod in seen.pods.iter().filter(|pod| unwell(pod.state)).take(SHOWN) {
        writeln!(
            out,
            "    {}/{} {}{}",
            pod.namespace,
            pod.name,
            pod.state.word(),
            after(&pod.reason)
        )?;
    }
    Ok(())
}

/// Who waits, and what can be used.
fn others(seen: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    for one in seen.queue.iter().take(SHOWN) {
        writeln!(
            out,
            "waits for {} GPU: {} {}/{}{}",
            one.gpus,
            one.kind,
            one.namespace,
            one.name,
            after(&one.why)
        )?;
    }
    for service in seen.services.iter().filter(|service| service.is_endpoint) {
        writeln!(out, "endpoint {}", service.url)?;
    }
    for notebook in seen.notebooks.iter().take(SHOWN) {
        writeln!(
            out,
            "notebook {}/{}: {}",
            notebook.namespace, notebook.name, notebook.state
        )?;
    }
    for ray in &seen.rays {
        let (ready, wanted) = (ray.workers_ready, ray.workers_wanted);
        writeln!(
            out,
            "{} {}/{}: {}, {ready} of {wanted} workers",
            ray.kind, ray.namespace, ray.name, ray.state
        )?;
    }
    for volume in seen.volumes.iter().filter(|volume| !volume.bound) {
        writeln!(
            out,
            "volume {}/{} is not bound{}",
            volume.namespace,
            volume.name,
            after(volume.problem()),
        )?;
    }
    Ok(())
}

/// What was not seen.
fn remarks(seen: &Inventory, out: &mut dyn Write) -> io::Result<()> {
    let is_told = |resource: &str| MAIN.contains(&resource) && seen.unread(resource).is_some();
    let denied = seen.denied.iter().filter(|one| !is_told(&one.resource));
    for line in denied::told(&denied.cloned().collect::<Vec<_>>()) {
        writeln!(out, "{line}")?;
    }
    if let Some(role) = seen.role_to_ask_for() {
        writeln!(
            out,
            "an administrator can allow it with this:\n{}",
            role.trim_end()
        )?;
    }
    for failed in seen.failed.iter().filter(|one| !is_told(&one.resource)) {
        writeln!(out, "{} could not be read: {}", failed.what, failed.why)?;
    }
    for cut in &seen.cut {
        writeln!(out, "only the first {} `{}` were read", cut.shown, cut.what)?;
    }
    if !seen.absent.is_empty() {
        writeln!(out, "this cluster has no {}", seen.absent.join(", no "))?;
    }
    Ok(())
}

fn after(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

/// Writes how each object of an overlay is; the program fails where one is not there, or cannot be looked at.
pub(super) fn standing(all: &[(String, Standing)], out: &mut dyn Write) -> io::Result<ExitCode> {
    let (mut there, mut unread) = (0, 0);
    for (object, standing) in all {
        match standing {
            Standing::There(words) => {
                there += 1;
                writeln!(out, "{object}: {words}")?;
            }
            Standing::Missing => writeln!(out, "{object}: not there")?,
            Standing::Unread(why) => {
                unread += 1;
                writeln!(out, "{object}: could not be read: {why}")?;
            }
        }
    }
    let unread = match unread {
        0 => String::new(),
        n => format!(", {n} could not be read"),
    };
    writeln!(out, "{there} of {} objects are there{unread}", all.len())?;
    Ok(if there == all.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
