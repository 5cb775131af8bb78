//! The notebook and the endpoint on ports of this machine.

use std::io::Write;

use crate::cluster::{Cluster, input};
use crate::command::Failure;
use crate::error::ClusterError;
use crate::forward::{ForwardEvent, Target, Wanted};
use crate::inventory::Inventory;

/// Something with a port, and the path behind it.
type Found = (Target, u16, String);

/// Forwards what is wanted and there: the notebook to the first of `locals`, the endpoint to the second.
pub(super) fn forward(
    cluster: &Cluster,
    locals: [Option<u16>; 2],
    stop: &(dyn Fn() -> bool + Sync),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let namespace = cluster.namespace();
    let seen = cluster.inventory(Some(namespace), stop)?;
    let [notebook, endpoint] = match locals {
        // One that is stopped is tried only when nothing else is wanted.
        [Some(_), other] => [
            notebook(cluster, &seen, other.is_none(), stop)?,
            other.and_then(|_| endpoint(&seen)),
        ],
        [None, _] => [None, endpoint(&seen)],
    };
    if notebook.is_none() && endpoint.is_none() {
        let what = match locals {
            [Some(_), None] => "notebook",
            [None, _] => "endpoint",
            _ => "notebook that runs and no endpoint",
        };
        let hint = "`mlk8s-cluster status` shows what there is; `--namespace` names another namespace; a notebook without \
                    Kubeflow is found by the labels `app.kubernetes.io/component: notebook` and `app.kubernetes.io/part-of: mlk8s`";
        return Err(input(
            format!("there is no {what} in namespace `{namespace}`"),
            hint,
        )
        .into());
    }
    let mut paths = Vec::new();
    let mut all = Vec::new();
    for (found, local) in [notebook, endpoint].into_iter().zip(locals) {
        let (Some((target, port, path)), Some(local)) = (found, local) else {
            continue;
        };
        // Without a prefix our image asks for a token, which it prints.
        let token = match &target {
            _ if path != "/" => String::new(),
            Target::Service(name) => {
                format!("; `kubectl -n {namespace} logs service/{name}` has its token")
            }
            other => format!("; `kubectl -n {namespace} logs {other}` has its token"),
        };
        all.push(Wanted {
            namespace: namespace.to_owned(),
            target,
            port,
            local,
        });
        paths.push((path, token));
    }
    bring(cluster, &all, &paths, stop, out)
}

/// Forwards `all`, and writes where each of them is, with its path and what there is to say about its token.
fn bring(
    cluster: &Cluster,
    all: &[Wanted],
    paths: &[(String, String)],
    stop: &(dyn Fn() -> bool + Sync),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut lines = Vec::new();
    let mut failed = None;
    // What is written is collected first, for the writer is not to be shared with the connections.
    let (send, receive) = std::sync::mpsc::channel::<String>();
    std::thread::scope(|scope| {
        let forwarding = scope.spawn(move || {
            let mut at = 0;
            cluster.forward(all, stop, &mut |event| {
                let words = match event {
                    ForwardEvent::Ready { wanted, local } => {
                        let (path, token) = &paths[at];
                        at += 1;
                        format!(
                            "{} is at http://127.0.0.1:{local}{path} until Ctrl-C{token}",
                            wanted.target
                        )
                    }
                    ForwardEvent::Failed { wanted, error } => {
                        format!("{}: {error}", wanted.target)
                    }
                };
                // Nobody reads any more when writing has failed.
                let _ = send.send(words);
            })
        });
        for words in receive {
            lines.push(writeln!(out, "{words}").and_then(|()| out.flush()));
        }
        failed = forwarding.join().ok();
    });
    lines.into_iter().collect::<Result<(), _>>()?;
    match failed {
        Some(result) => Ok(result?),
        None => Ok(()),
    }
}

/// A notebook that runs: one of Kubeflow, else one that carries our labels; or, if that is wanted, one that does not.
fn notebook(
    cluster: &Cluster,
    seen: &Inventory,
    even_stopped: bool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Found>, ClusterError> {
    if let Some(running) = of_kubeflow(seen, false) {
        return Ok(Some(running));
    }
    let all = cluster.labelled_notebooks(cluster.namespace(), stop)?;
    // Those that are ready come first.
    let first = all.into_iter().next();
    let is_ready = first.as_ref().is_some_and(|one| one.is_ready);
    let found = first.map(|one| (one.target, one.port, one.path));
    Ok(match found {
        Some(found) if is_ready => Some(found),
        found if even_stopped => of_kubeflow(seen, true).or(found),
        _ => None,
    })
}

/// The service of a notebook of Kubeflow, its port and the path behind it.
fn of_kubeflow(seen: &Inventory, even_stopped: bool) -> Option<Found> {
    let running = seen.notebooks.iter().find(|one| one.ready);
    let any = seen.notebooks.first().filter(|_| even_stopped);
    let notebook = running.or(any)?;
    let service = seen.services.iter().find(|one| one.name == notebook.name)?;
    let path = format!("/notebook/{}/{}/", notebook.namespace, notebook.name);
    let target = Target::Service(service.name.clone());
    Some((target, service.ports.first()?.number, path))
}

/// The service of the endpoint, its port and the path behind it.
fn endpoint(seen: &Inventory) -> Option<Found> {
    let service = seen.services.iter().find(|one| one.is_endpoint)?;
    let (_, place) = service.url.split_once("://")?;
    let (place, path) = place
        .split_once('/')
        .map_or((place, String::new()), |(place, path)| {
            (place, format!("/{path}"))
        });
    let port = place.rsplit(':').next()?.parse().ok()?;
    Some((Target::Service(service.name.clone()), port, path))
}
