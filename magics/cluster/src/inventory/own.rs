//! The pod that this runs in: its limits are told by the control groups, whatever one may ask the cluster.

use std::fs;

use crate::cluster::PodFiles;
use crate::inventory::{OwnPod, Pod};

/// What the pod knows of itself without asking anybody (Linux, "Control Group v2": `memory.max`, `memory.current`,
/// `cpu.max`; version 1 where that is mounted).
pub(super) fn read(files: &PodFiles) -> OwnPod {
    let text = |name: &str| fs::read_to_string(files.cgroup.join(name)).ok();
    let number = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| text(name));
        found.and_then(|text| text.trim().parse::<u64>().ok())
    };
    // Version 1 has no word for "no limit", only a very large number.
    let limit =
        number(["memory.max", "memory/memory.limit_in_bytes"]).filter(|bytes| *bytes < 1 << 60);
    let namespace = fs::read_to_string(files.service_account.join("namespace")).unwrap_or_default();
    OwnPod {
        namespace: namespace.trim().to_owned(),
        name: files.name.clone().unwrap_or_default(),
        node: None,
        memory_limit: limit,
        memory_used: number(["memory.current", "memory/memory.usage_in_bytes"]),
        cpu_limit: text("cpu.max").as_deref().and_then(cores).or_else(|| {
            let quota = text("cpu/cpu.cfs_quota_us")?;
            let period = text("cpu/cpu.cfs_period_us")?;
            cores(&format!("{} {}", quota.trim(), period.trim()))
        }),
        gpus: None,
    }
}

/// Cores in a line of `cpu.max`: microseconds allowed in each period, or `max`.
fn cores(line: &str) -> Option<f64> {
    let (quota, period) = line.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Adds what the cluster says of the pod, where one may see it.
pub(super) fn complete(own: &mut OwnPod, pods: &[Pod]) {
    let is_it = |pod: &&Pod| pod.namespace == own.namespace && pod.name == own.name;
    let Some(pod) = pods.iter().find(is_it) else {
        return;
    };
    own.node.clone_from(&pod.node);
    own.gpus = Some(pod.gpus);
    own.memory_limit = own.memory_limit.or(pod.memory_limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(parts: &[(&str, &str)]) -> (tempfile::TempDir, PodFiles) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in parts {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = PodFiles {
            service_account: folder.path().to_owned(),
            cgroup: folder.path().to_owned(),
            server: None,
            name: Some("mlk8s-0".to_owned()),
        };
        (folder, files)
    }

    #[test]
    fn the_limits_are_those_of_the_control_group() {
        let (_folder, files) = files(&[
            ("namespace", "anna"),
            ("memory.max", "8589934592\n"),
            ("memory.current", "1048576\n"),
            ("cpu.max", "250000 100000\n"),
        ]);
        let own = read(&files);
        assert_eq!(
            (own.namespace.as_str(), own.name.as_str()),
            ("anna", "mlk8s-0")
        );
        assert_eq!(own.memory_limit, Some(8 << 30));
        assert_eq!(own.memory_used, Some(1 << 20));
        assert_eq!(own.cpu_limit, Some(2.5));
    }

    #[test]
    fn no_limit_is_none() {
        let (_folder, new) = files(&[("memory.max", "max\n"), ("cpu.max", "max 100000\n")]);
        let own = read(&new);
        assert_eq!((own.memory_limit, own.cpu_limit), (None, None));
        let (_folder, old) = files(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        let own = read(&old);
        assert_eq!((own.memory_limit, own.cpu_limit), (None, None));
    }
}
