//! A cluster as nodes and edges, to be drawn: machine, pod, what made it, what reaches it, what it mounts.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::inventory::{Inventory, Pod, PodState};

/// Nodes and edges.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Vertex>,
    /// The edges, by index into `nodes`.
    pub edges: Vec<Edge>,
    /// What is not in it, as one sentence; empty when nothing was left out.
    pub left_out: String,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Vertex {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What there is to say of it, in a few words.
    pub detail: String,
    /// Whether it is as it should be.
    pub is_well: bool,
}

/// What a node of the graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    /// A machine.
    Node,
    /// What makes pods.
    Owner,
    /// A service.
    Service,
    /// A claim of a volume.
    Volume,
    /// A pod.
    Pod,
}

/// An edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Index of the node that does it.
    pub from: usize,
    /// Index of the node that it is done to.
    pub to: usize,
    /// `runs`, `owns`, `reaches` or `mounts`.
    pub relation: &'static str,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Node => "node",
            Kind::Owner => "owner",
            Kind::Service => "service",
            Kind::Volume => "volume",
            Kind::Pod => "pod",
        }
    }
}

impl Inventory {
    /// The graph of at most `at_most` pods and what belongs to them. Where there are more, those stay that have GPUs,
    /// that are not well, or that are a notebook or an endpoint.
    pub fn graph(&self, at_most: usize) -> Graph {
        let mut pods: Vec<&Pod> = self.pods.iter().collect();
        // What has ended is not part of the picture.
        pods.retain(|pod| pod.state != PodState::Succeeded);
        let n_ended = self.pods.len() - pods.len();
        let n_there = pods.len();
        pods.sort_by_key(|pod| std::cmp::Reverse(self.weight(pod)));
        pods.truncate(at_most);
        pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let mut drawing = Drawing::default();
        for node in &self.nodes {
            let detail = match node.gpus.allocatable {
                0 => node.problem.clone(),
                all => format!("{} of {all} GPUs taken", node.gpus.requested),
            };
            drawing.vertex(Kind::Node, "", &node.name, &detail, node.ready);
        }
        for pod in &pods {
            self.draw(pod, &mut drawing);
        }
        drawing.graph.left_out = left_out(n_there - pods.len(), n_ended);
        drawing.tell_apart()
    }

    /// How much one would miss `pod` in the picture.
    fn weight(&self, pod: &Pod) -> u8 {
        let is_well = is_well(pod);
        let is_ours =
            pod.labels.contains_key("notebook-name") || self.endpoints_of(pod).next().is_some();
        u8::from(pod.gpus > 0) * 4 + u8::from(!is_well) * 2 + u8::from(is_ours)
    }

    fn endpoints_of<'a>(
        &'a self,
        pod: &'a Pod,
    ) -> impl Iterator<Item = &'a crate::inventory::Service> {
        self.services
            .iter()
            .filter(|one| one.is_endpoint && one.selects(pod))
    }

    fn draw(&self, pod: &Pod, drawing: &mut Drawing) {
        let gpus = match pod.gpus {
            0 => String::new(),
            1 => ", 1 GPU".to_owned(),
            n => format!(", {n} GPUs"),
        };
        let detail = format!("{}{gpus}", pod.state.word());
        let at = drawing.vertex(Kind::Pod, &pod.namespace, &pod.name, &detail, is_well(pod));
        if let Some(node) = &pod.node {
            let from = drawing.vertex(Kind::Node, "", node, "", true);
            drawing.edge(from, at, "runs");
        }
        if let Some(owner) = &pod.owner {
            let name = format!("{} {}", owner.kind, owner.name);
            let from = drawing.vertex(Kind::Owner, &pod.namespace, &name, "", true);
            drawing.edge(from, at, "owns");
        }
        for service in self.services.iter().filter(|service| service.selects(pod)) {
            let detail = if service.is_endpoint {
                service.url.as_str()
            } else {
                ""
            };
            let from = drawing.vertex(
                Kind::Service,
                &service.namespace,
                &service.name,
                detail,
                true,
            );
            drawing.edge(from, at, "reaches");
        }
        for claim in &pod.claims {
            let known = self
                .volumes
                .iter()
                .find(|one| one.namespace == pod.namespace && &one.name == claim);
            let (detail, is_well) = match known {
                Some(volume) if volume.bound => (gibibytes(volume.size), true),
                Some(_) => ("not bound".to_owned(), false),
                None => (String::new(), true),
            };
            let to = drawing.vertex(Kind::Volume, &pod.namespace, claim, &detail, is_well);
            drawing.edge(at, to, "mounts");
        }
    }
}

impl crate::inventory::Service {
    /// Whether requests to it reach `pod`.
    pub fn selects(&self, pod: &Pod) -> bool {
        let matches = |(key, value): (&String, &String)| pod.labels.get(key) == Some(value);
        !self.selector.is_empty()
            && self.namespace == pod.namespace
            && self.selector.iter().all(matches)
    }
}

fn is_well(pod: &Pod) -> bool {
    matches!(pod.state, PodState::Running | PodState::Succeeded) && pod.reason.is_empty()
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.0} GiB", bytes as f64 / f64::from(1 << 30))
}

fn left_out(too_many: usize, ended: usize) -> String {
    let pods = |n: usize| {
        if n == 1 {
            "1 pod".to_owned()
        } else {
            format!("{n} pods")
        }
    };
    match (too_many, ended) {
        (0, 0) => String::new(),
        (0, ended) => format!("{} that ended well left out", pods(ended)),
        (many, 0) => format!("{} left out that have no GPU and are well", pods(many)),
        (many, ended) => format!(
            "{} left out that have no GPU and are well, and {} that ended well",
            pods(many),
            pods(ended)
        ),
    }
}

/// A graph that is being made.
#[derive(Default)]
struct Drawing {
    graph: Graph,
    /// Where each node is, by kind, namespace and name.
    places: BTreeMap<(Kind, String, String), usize>,
}

impl Drawing {
    /// The index of the node, which is made if it is not there.
    fn vertex(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
        detail: &str,
        is_well: bool,
    ) -> usize {
        let next = self.graph.nodes.len();
        let key = (kind, namespace.to_owned(), name.to_owned());
        let at = *self.places.entry(key).or_insert(next);
        if at == next {
            self.graph.nodes.push(Vertex {
                kind,
                name: name.to_owned(),
                detail: detail.to_owned(),
                is_well,
            });
        }
        at
    }

    /// The graph, in which what has the same name in several namespaces is called by both.
    fn tell_apart(mut self) -> Graph {
        let mut same: BTreeMap<(Kind, &str), Vec<(&str, usize)>> = BTreeMap::new();
        for ((kind, namespace, name), at) in &self.places {
            let all = same.entry((*kind, name)).or_default();
            all.push((namespace, *at));
        }
        for ((_, name), all) in same.into_iter().filter(|(_, all)| all.len() > 1) {
            for (namespace, at) in all {
                self.graph.nodes[at].name = format!("{name} in {namespace}");
            }
        }
        self.graph
    }

    fn edge(&mut self, from: usize, to: usize, relation: &'static str) {
        self.graph.edges.push(Edge { from, to, relation });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_in_two_namespaces_is_told_apart() {
        let mut drawing = Drawing::default();
        for (namespace, name) in [("a", "llm"), ("b", "llm"), ("b", "ledger")] {
            drawing.vertex(Kind::Pod, namespace, name, "", true);
        }
        let names = drawing.tell_apart().nodes.into_iter().map(|node| node.name);
        let names: Vec<String> = names.collect();
        assert_eq!(names, ["llm in a", "llm in b", "ledger"]);
    }
}
