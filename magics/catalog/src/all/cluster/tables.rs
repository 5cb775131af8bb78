//! A cluster in tables: nodes, who has the GPUs, what waits or fails, what can be used, what could not be seen.

use chrono::{DateTime, Utc};
use mlk8s_cluster::denied;
use mlk8s_cluster::inventory::{Inventory, Node, Pod, PodState, Scope, Share};

use crate::view::{Column, Table, View};

const GIB: f64 = (1u64 << 30) as f64;
/// Rows of a table of pods.
const SHOWN: usize = 60;

/// All tables that have something in them.
pub(super) fn views(seen: &Inventory, all_pods: bool, frame: &str) -> Vec<View> {
    let mut tables = vec![nodes(seen)];
    tables.extend(filled(gpus(seen)));
    tables.extend(filled(queue(seen)));
    tables.extend(filled(if all_pods {
        pods("pods", seen, |_| true)
    } else {
        pods("pods in trouble", seen, |pod| {
            in_trouble(pod) && !waits_for_gpu(seen, pod)
        })
    }));
    tables.extend(filled(usable(seen)));
    tables.extend(filled(volumes(seen)));
    let mut views: Vec<View> = tables.into_iter().map(View::Table).collect();
    views.push(View::Text(remarks(seen, frame)));
    views
}

fn filled(table: Table) -> Option<Table> {
    (!table.rows.is_empty()).then_some(table)
}

fn nodes(seen: &Inventory) -> Table {
    let whose = match &seen.scope {
        Scope::Cluster => String::new(),
        Scope::Namespace(name) => format!(", namespace {name}"),
    };
    let row = |node: &Node| {
        vec![
            node.name.clone(),
            if node.ready { "ready" } else { "not ready" }.to_owned(),
            share(&node.cpu, |cores| format!("{cores:.1}")),
            share(&node.memory, |&bytes| format!("{:.0}", bytes as f64 / GIB)),
            if node.gpus.capacity == 0 {
                String::new()
            } else {
                share(&node.gpus, u32::to_string)
            },
            node.gpu_model.clone().unwrap_or_default(),
            node.roles.join(", "),
            [node.problem.clone(), node.taints.join(", ")]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
        ]
    };
    Table {
        title: format!(
            "cluster {} (Kubernetes {}){whose}",
            seen.server, seen.version
        ),
        columns: vec![
            Column::text("node"),
            Column::text(""),
            Column::number("cores"),
            Column::number("GiB"),
            Column::number("GPUs"),
            Column::text("GPU"),
            Column::text("role"),
            Column::text("remarks"),
        ],
        note: match seen.unread("nodes") {
            Some(why) => format!("nodes could not be listed: {why}"),
            None if seen.nodes.is_empty() => "there are no nodes".to_owned(),
            None => "requested by pods of what can be given to them".to_owned(),
        },
        rows: seen.nodes.iter().map(row).collect(),
    }
}

fn share<T>(of: &Share<T>, show: impl Fn(&T) -> String) -> String {
    format!("{} of {}", show(&of.requested), show(&of.allocatable))
}

fn gpus(seen: &Inventory) -> Table {
    // By pods, which may be seen where nodes may not.
    let users = seen.pods.iter().filter(|pod| pod.gpus > 0 && pod.holds());
    let rows = users.map(|pod| {
        vec![
            pod.node.clone().unwrap_or_default(),
            pod.gpus.to_string(),
            pod.namespace.clone(),
            pod.name.clone(),
            owner(pod),
            age(pod.since, seen.at),
        ]
    });
    Table {
        title: "who has the GPUs".to_owned(),
        columns: vec![
            Column::text("node"),
            Column::number("GPUs"),
            Column::text("namespace"),
            Column::text("pod"),
            Column::text("of"),
            Column::number("for"),
        ],
        rows: rows.collect(),
        note: String::new(),
    }
}

fn queue(seen: &Inventory) -> Table {
    let rows = seen.queue.iter().map(|waiting| {
        vec![
            waiting.namespace.clone(),
            waiting.name.clone(),
            waiting.gpus.to_string(),
            age(waiting.since, seen.at),
            waiting.queue.clone().unwrap_or_default(),
            waiting.why.clone(),
        ]
    });
    Table {
        title: "what waits for a GPU".to_owned(),
        columns: vec![
            Column::text("namespace"),
            Column::text("name"),
            Column::number("GPUs"),
            Column::number("for"),
            Column::text("queue"),
            Column::text("why"),
        ],
        rows: rows.collect(),
        note: String::new(),
    }
}

fn waits_for_gpu(seen: &Inventory, pod: &Pod) -> bool {
    let mut queue = seen.queue.iter();
    queue.any(|waiting| waiting.name == pod.name && waiting.namespace == pod.namespace)
}

fn in_trouble(pod: &Pod) -> bool {
    match pod.state {
        PodState::Pending | PodState::Failed | PodState::Unknown | PodState::Crashing => true,
        PodState::Running | PodState::Succeeded | PodState::Terminating => false,
    }
}

fn pods(title: &str, seen: &Inventory, wanted: impl Fn(&Pod) -> bool) -> Table {
    let chosen: Vec<&Pod> = seen.pods.iter().filter(|pod| wanted(pod)).collect();
    let row = |pod: &&Pod| {
        vec![
            pod.namespace.clone(),
            pod.name.clone(),
            pod.state.word().to_owned(),
            pod.node.clone().unwrap_or_default(),
            pod.restarts.to_string(),
            age(pod.since, seen.at),
            pod.reason.clone(),
        ]
    };
    Table {
        title: title.to_owned(),
        columns: vec![
            Column::text("namespace"),
            Column::text("pod"),
            Column::text("state"),
            Column::text("node"),
            Column::number("restarts"),
            Column::number("age"),
            Column::text("why"),
        ],
        rows: chosen.iter().take(SHOWN).map(row).collect(),
        note: match chosen.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("and {more} more"),
        },
    }
}

/// What a notebook can use: endpoints of models, notebooks, Ray.
fn usable(seen: &Inventory) -> Table {
    let mut rows = Vec::new();
    for service in seen.services.iter().filter(|service| service.is_endpoint) {
        let add = format!("%endpoint add {} {}", service.name, service.url);
        rows.push(["endpoint", &service.namespace, &service.name, "", &add].map(str::to_owned));
    }
    for notebook in &seen.notebooks {
        let used = notebook.last_activity.map_or_else(String::new, |at| {
            format!("last used {} ago", age(Some(at), seen.at))
        });
        rows.push(
            [
                "notebook",
                &notebook.namespace,
                &notebook.name,
                &notebook.state,
                &used,
            ]
            .map(str::to_owned),
        );
    }
    for ray in &seen.rays {
        let workers = format!(
            "{} of {} workers{}",
            ray.workers_ready,
            ray.workers_wanted,
            ray.url
                .as_ref()
                .map_or_else(String::new, |url| format!(", {url}"))
        );
        let row = [ray.kind, &ray.namespace, &ray.name, &ray.state, &workers];
        rows.push(row.map(str::to_owned));
    }
    Table {
        title: "what can be used".to_owned(),
        columns: ["what", "namespace", "name", "state", ""]
            .map(Column::text)
            .to_vec(),
        rows: rows.into_iter().map(|row| row.to_vec()).collect(),
        note: String::new(),
    }
}

fn volumes(seen: &Inventory) -> Table {
    let rows = seen.volumes.iter().map(|volume| {
        vec![
            volume.namespace.clone(),
            volume.name.clone(),
            format!("{:.0} GiB", volume.size as f64 / GIB),
            match (volume.bound, volume.problem()) {
                (true, _) => "bound".to_owned(),
                (false, "") => "not bound".to_owned(),
                (false, why) => format!("not bound: {why}"),
            },
            volume.class.clone().unwrap_or_default(),
        ]
    });
    Table {
        title: "volumes".to_owned(),
        columns: vec![
            Column::text("namespace"),
            Column::text("claim"),
            Column::number("size"),
            Column::text("state"),
            Column::text("class"),
        ],
        rows: rows.take(SHOWN).collect(),
        note: match seen.volumes.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("and {more} more"),
        },
    }
}

/// What this notebook has for itself, what the frame holds, and what could not be seen.
fn remarks(seen: &Inventory, frame: &str) -> String {
    let mut lines = Vec::new();
    if let Some(own) = &seen.own {
        let memory = match (own.memory_used, own.memory_limit) {
            (Some(used), Some(limit)) => format!(
                ", {:.1} of {:.1} GiB of memory used",
                used as f64 / GIB,
                limit as f64 / GIB
            ),
            (None, Some(limit)) => format!(", {:.1} GiB of memory at most", limit as f64 / GIB),
            _ => String::new(),
        };
        let cores = own
            .cpu_limit
            .map_or_else(String::new, |cores| format!(", {cores:.1} cores at most"));
        lines.push(format!(
            "this notebook is the pod {} in {}{memory}{cores}",
            own.name, own.namespace
        ));
    }
    lines.push(match seen.unread("pods") {
        Some(_) => format!("the frame `{frame}` is empty: pods could not be listed"),
        None => format!(
            "all {} pods that may be seen are in the frame `{frame}`",
            seen.pods.len()
        ),
    });
    lines.extend(denied::told(&seen.denied));
    lines.extend(
        seen.failed
            .iter()
            .map(|failed| format!("{} could not be listed: {}", failed.what, failed.why)),
    );
    lines.extend(
        seen.cut
            .iter()
            .map(|cut| format!("only the first {} {} were listed", cut.shown, cut.what)),
    );
    if let Some(role) = seen.role_to_ask_for() {
        lines.push(format!(
            "an administrator can allow it with this:\n{}",
            role.trim_end()
        ));
    }
    lines.join("\n")
}

fn owner(pod: &Pod) -> String {
    let owner = pod.owner.as_ref();
    owner.map_or_else(String::new, |owner| {
        format!("{} {}", owner.kind, owner.name)
    })
}

/// How long ago, in the two largest units that say something.
fn age(since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let Some(since) = since else {
        return String::new();
    };
    let minutes = (now - since).num_minutes().max(0);
    let (days, hours) = (minutes / 1440, minutes / 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) if hours < 10 => format!("{hours} h {} min", minutes % 60),
        (0, hours) => format!("{hours} h"),
        (days, hours) if days < 10 => format!("{days} d {} h", hours % 24),
        (days, _) => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn ages_are_read_at_a_glance() {
        let now = Utc::now();
        let of = |minutes| age(Some(now - TimeDelta::minutes(minutes)), now);
        assert_eq!([3, 95, 900].map(of), ["3 min", "1 h 35 min", "15 h"]);
        assert_eq!([1500, 30_000].map(of), ["1 d 1 h", "20 d"]);
        assert_eq!(age(None, now), "");
    }
}
