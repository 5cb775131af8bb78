//! The notebook and the endpoint on ports of this machine.

use std::io::Write;

use crate::cluster::{Cluster, input};
use crate::command::Failure;
use crate::forward::{ForwardEvent, Wanted};
use crate::inventory::{Inventory, Service};

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
            notebook(&seen, other.is_none()),
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
        let hint =
            "`mlk8s-cluster status` shows what there is; `--namespace` names another namespace";
        return Err(input(
            format!("there is no {what} in namespace `{namespace}`"),
            hint,
        )
        .into());
    }
    let mut paths = Vec::new();
    let mut all = Vec::new();
    for (found, local) in [notebook, endpoint].into_iter().zip(locals) {
        let (Some((service, port, path)), Some(local)) = (found, local) else {
            continue;
        };
        all.push(Wanted {
            namespace: service.namespace.clone(),
            service: service.name.clone(),
            port,
            local,
        });
        paths.push(path);
    }
    let mut lines = Vec::new();
    let mut failed = None;
    // What is written is collected first, for the writer is not to be shared with the connections.
    let (send, receive) = std::sync::mpsc::channel::<String>();
    std::thread::scope(|scope| {
        let forwarding = scope.spawn(move || {
            let mut at = 0;
            cluster.forward(&all, stop, &mut |event| {
                let words = match event {
                    ForwardEvent::Ready { wanted, local } => {
                        at += 1;
                        format!(
                            "{} is at http://127.0.0.1:{local}{} until Ctrl-C",
                            wanted.service,
                            paths[at - 1]
                        )
                    }
                    ForwardEvent::Failed { wanted, error } => {
                        format!("{}: {error}", wanted.service)
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

/// The service of a notebook, its port and the path behind it.
fn notebook(seen: &Inventory, even_stopped: bool) -> Option<(&Service, u16, String)> {
    let running = seen.notebooks.iter().find(|one| one.ready);
    let any = seen.notebooks.first().filter(|_| even_stopped);
    let notebook = running.or(any)?;
    let service = seen.services.iter().find(|one| one.name == notebook.name)?;
    let path = format!("/notebook/{}/{}/", notebook.namespace, notebook.name);
    Some((service, service.ports.first()?.number, path))
}

/// The service of the endpoint, its port and the path behind it.
fn endpoint(seen: &Inventory) -> Option<(&Service, u16, String)> {
    let service = seen.services.iter().find(|one| one.is_endpoint)?;
    let (_, place) = service.url.split_once("://")?;
    let (place, path) = place
        .split_once('/')
        .map_or((place, String::new()), |(place, path)| {
            (place, format!("/{path}"))
        });
    let port = place.rsplit(':').next()?.parse().ok()?;
    Some((service, port, path))
}
