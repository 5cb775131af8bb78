//! The pods of a cluster as a data frame.

use mlk8s_cluster::inventory::{Inventory, Pod};
use polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, Series};

use crate::error::MagicError;

const GIB: f64 = (1u64 << 30) as f64;

/// One row a pod: `namespace`, `name`, `state`, `reason`, `node`, `owner`, `cpu` (cores), `memory_gib`, `gpus`, `restarts`,
/// `since` (RFC 3339).
pub(super) fn pods(seen: &Inventory) -> Result<DataFrame, MagicError> {
    let text = |name: &str, of: &dyn Fn(&Pod) -> String| -> Column {
        let values: Vec<String> = seen.pods.iter().map(of).collect();
        Series::new(name.into(), values).into_column()
    };
    let number = |name: &str, of: &dyn Fn(&Pod) -> f64| -> Column {
        let values: Vec<f64> = seen.pods.iter().map(of).collect();
        Series::new(name.into(), values).into_column()
    };
    let count = |name: &str, of: &dyn Fn(&Pod) -> u32| -> Column {
        let values: Vec<u32> = seen.pods.iter().map(of).collect();
        Series::new(name.into(), values).into_column()
    };
    let columns = vec![
        text("namespace", &|pod| pod.namespace.clone()),
        text("name", &|pod| pod.name.clone()),
        text("state", &|pod| pod.state.word().to_owned()),
        text("reason", &|pod| pod.reason.clone()),
        text("node", &|pod| pod.node.clone().unwrap_or_default()),
        text("owner", &|pod| {
            let owner = pod.owner.as_ref();
            owner.map_or_else(String::new, |owner| {
                format!("{} {}", owner.kind, owner.name)
            })
        }),
        number("cpu", &|pod| pod.cpu),
        number("memory_gib", &|pod| pod.memory as f64 / GIB),
        count("gpus", &|pod| pod.gpus),
        count("restarts", &|pod| pod.restarts),
        text("since", &|pod| {
            pod.since.map_or_else(String::new, |at| at.to_rfc3339())
        }),
    ];
    Ok(DataFrame::new(seen.pods.len(), columns)?)
}
