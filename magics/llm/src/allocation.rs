//! What a cluster costs: the allocation API of OpenCost and Kubecost, and without either the resources of this machine.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::local::Machine;

/// Costs of one thing (a namespace, a controller, …) in one stretch of time, in US dollars.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Allocation {
    /// Its name; `__idle__` is what nobody used.
    pub name: String,
    /// Processors.
    pub cpu: f64,
    /// Memory.
    pub ram: f64,
    /// Graphics processors.
    pub gpu: f64,
    /// Volumes.
    pub storage: f64,
    /// Everything else: network, load balancers, what is shared.
    pub other: f64,
}

impl Allocation {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.cpu + self.ram + self.gpu + self.storage + self.other
    }

    fn add(&mut self, more: &Allocation) {
        self.cpu += more.cpu;
        self.ram += more.ram;
        self.gpu += more.gpu;
        self.storage += more.storage;
        self.other += more.other;
    }
}

/// Costs by step of time, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Allocations {
    /// When each step begins, and the costs in it.
    pub steps: Vec<(String, Vec<Allocation>)>,
}

impl Allocations {
    /// Reads an answer of the API: `{"code": 200, "data": [{name: allocation, …}, …]}`, one object for each step.
    pub fn read(answer: &Value) -> Result<Allocations, String> {
        let data = answer["data"].as_array().ok_or_else(|| {
            let said = answer["message"].as_str().unwrap_or("it holds no `data`");
            said.to_owned()
        })?;
        let steps = data.iter().filter_map(Value::as_object).map(|step| {
            let mut begin = String::new();
            let costs = step.iter().map(|(name, one)| {
                let window = one["window"]["start"].as_str().or(one["start"].as_str());
                if let Some(start) = window.filter(|start| begin.is_empty() || **start < *begin) {
                    start.clone_into(&mut begin);
                }
                allocation(name, one)
            });
            let costs: Vec<Allocation> = costs.collect();
            (begin, costs)
        });
        Ok(Allocations {
            steps: steps.filter(|(_, costs)| !costs.is_empty()).collect(),
        })
    }

    /// The sum of everything, called `together`.
    pub fn together(&self) -> Allocation {
        let mut all = Allocation {
            name: "together".to_owned(),
            ..Allocation::default()
        };
        for one in self.steps.iter().flat_map(|(_, costs)| costs) {
            all.add(one);
        }
        all
    }

    /// The sums over all steps, the dearest first.
    pub fn sums(&self) -> Vec<Allocation> {
        let mut sums: BTreeMap<&str, Allocation> = BTreeMap::new();
        for one in self.steps.iter().flat_map(|(_, costs)| costs) {
            let sum = sums.entry(&one.name).or_insert_with(|| Allocation {
                name: one.name.clone(),
                ..Allocation::default()
            });
            sum.add(one);
        }
        let mut sums: Vec<Allocation> = sums.into_values().collect();
        sums.sort_by(|a, b| b.total().total_cmp(&a.total()));
        sums
    }
}

fn allocation(name: &str, one: &Value) -> Allocation {
    let cost = |field: &str| one[field].as_f64().unwrap_or(0.0);
    let mut read = Allocation {
        name: name.to_owned(),
        cpu: cost("cpuCost"),
        ram: cost("ramCost"),
        gpu: cost("gpuCost"),
        storage: cost("pvCost"),
        other: 0.0,
    };
    // What the parts do not say, the sum does.
    let total = one["totalCost"].as_f64();
    read.other = total.map_or(0.0, |total| total - read.total());
    read
}

/// What this machine, or the container that we are in, has.
pub fn this_machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut quota = read("/sys/fs/cgroup/cpu.max")
        .split_whitespace()
        .map(str::parse::<f64>)
        .collect::<Vec<_>>()
        .into_iter();
    let limit = match (quota.next(), quota.next()) {
        (Some(Ok(time)), Some(Ok(period))) if period > 0.0 => Some(time / period),
        _ => None,
    };
    let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    let most = read("/sys/fs/cgroup/memory.max").trim().parse::<f64>().ok();
    let all = read("/proc/meminfo")
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse::<f64>()
                .ok()
        })
        .map_or(0.0, |kib| kib * 1024.0);
    let gpus = (0..16)
        .filter(|n| Path::new(&format!("/dev/nvidia{n}")).exists())
        .count();
    Machine {
        cores: limit.map_or(cores, |limit| limit.min(cores)),
        ram_gib: most.map_or(all, |most| most.min(all)) / f64::from(1 << 30),
        gpus: gpus as f64,
        storage_gib: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_read_and_summed() {
        let day = |start: &str, cpu: f64| {
            json!({ "kuberay": { "window": { "start": start }, "cpuCost": cpu, "gpuCost": 2.0, "ramCost": 0.5, "pvs": null,
                "networkCost": 0.25, "totalCost": cpu + 2.75 }, "__idle__": { "cpuCost": 0.1, "totalCost": 0.1 } })
        };
        let answer = json!({ "code": 200, "data": [day("2026-11-01T00:00:00Z", 1.0), {}, day("2026-11-02T00:00:00Z", 3.0)] });
        let read = Allocations::read(&answer).unwrap();
        assert_eq!(read.steps.len(), 2);
        let sums = read.sums();
        assert_eq!(sums[0].name, "kuberay");
        assert!((sums[0].total() - 9.5).abs() < 1e-9 && (sums[0].other - 0.5).abs() < 1e-9);
        assert!((sums[1].total() - 0.2).abs() < 1e-9);
        let error = Allocations::read(&json!({ "code": 400, "message": "bad window" }));
        assert_eq!(error.unwrap_err(), "bad window");
    }

    #[test]
    fn a_machine_has_a_core_and_memory() {
        let machine = this_machine();
        assert!(machine.cores > 0.0 && machine.ram_gib > 0.0);
    }
}
