//! How graphs of petgraph look at the end of a cell: in words, and as a sketch that the kernel draws.

use std::fmt::{Debug, Write as _};

use mlk8s_values::{GraphSketch, KnowledgeGraph, SKETCH_MIME, SketchEdge, SketchNode};
use petgraph::EdgeType;
use petgraph::graph::{Graph, IndexType};
use petgraph::graphmap::{GraphMap, NodeTrait};
use petgraph::stable_graph::StableGraph;
use petgraph::visit::{
    EdgeRef as _, IntoEdgeReferences, IntoNodeReferences, NodeCount, NodeIndexable, NodeRef as _,
};

use crate::bundle::Bundle;
use crate::cells::Probe;

/// Nodes that are drawn at most.
const DRAWN: usize = 150;
/// Edges in the text.
const LINES: usize = 20;
/// Characters of a name.
const NAME: usize = 60;

/// The form of a graph whose nodes and edges have a `Debug`.
pub trait ByGraph {
    /// The form.
    fn bundle<R: 'static>(&self, method: impl FnOnce() -> R) -> Option<Bundle>;
}

impl<T: Sketch + ?Sized> ByGraph for &&Probe<'_, T> {
    fn bundle<R: 'static>(&self, _: impl FnOnce() -> R) -> Option<Bundle> {
        Some(self.0.sketch())
    }
}

/// A graph that can be drawn.
pub trait Sketch {
    /// Its form.
    fn sketch(&self) -> Bundle;
}

impl<N: Debug, E: Debug, T: EdgeType, I: IndexType> Sketch for Graph<N, E, T, I> {
    fn sketch(&self) -> Bundle {
        plain(self, self.edge_count(), T::is_directed())
    }
}

impl<N: Debug, E: Debug, T: EdgeType, I: IndexType> Sketch for StableGraph<N, E, T, I> {
    fn sketch(&self) -> Bundle {
        plain(self, self.edge_count(), T::is_directed())
    }
}

impl<N: NodeTrait + Debug, E: Debug, T: EdgeType> Sketch for GraphMap<N, E, T> {
    fn sketch(&self) -> Bundle {
        plain(self, self.edge_count(), T::is_directed())
    }
}

impl<T: Sketch + ?Sized> Sketch for &T {
    fn sketch(&self) -> Bundle {
        (**self).sketch()
    }
}

fn plain<G>(graph: G, n_edges: usize, directed: bool) -> Bundle
where
    G: IntoNodeReferences + IntoEdgeReferences + NodeIndexable + NodeCount + Copy,
    G::NodeWeight: Debug,
    G::EdgeWeight: Debug,
{
    let mut degrees = vec![0_u32; graph.node_bound()];
    for edge in graph.edge_references() {
        degrees[graph.to_index(edge.source())] += 1;
        degrees[graph.to_index(edge.target())] += 1;
    }
    let mut nodes: Vec<(usize, String)> = graph
        .node_references()
        .map(|node| {
            let index = graph.to_index(node.id());
            let name = Some(label(node.weight())).filter(|name| !name.is_empty());
            (index, name.unwrap_or_else(|| index.to_string()))
        })
        .collect();
    let names: std::collections::HashMap<usize, String> = nodes.iter().cloned().collect();
    // The sort is stable: of equals the first come first.
    nodes.sort_by_key(|(index, _)| std::cmp::Reverse(degrees[*index]));
    nodes.truncate(DRAWN);
    let numbers = numbers(nodes.iter().map(|(index, _)| *index));
    let edges = graph.edge_references().filter_map(|edge| {
        Some(SketchEdge {
            from: *numbers.get(&graph.to_index(edge.source()))?,
            to: *numbers.get(&graph.to_index(edge.target()))?,
            label: label(edge.weight()),
            count: 1,
        })
    });
    let sketch = GraphSketch {
        n_nodes: graph.node_count(),
        n_edges,
        edges: edges.collect(),
        nodes: nodes
            .into_iter()
            .map(|(index, name)| SketchNode {
                name,
                degree: degrees[index],
                ..SketchNode::default()
            })
            .collect(),
        ..GraphSketch::default()
    };
    let (kind, arrow) = if directed {
        ("directed", "→")
    } else {
        ("undirected", "–")
    };
    let mut text = format!(
        "{kind} graph: {}, {}",
        crate::show::plural(sketch.n_nodes, "node", "nodes"),
        crate::show::plural(n_edges, "edge", "edges")
    );
    for edge in graph.edge_references().take(LINES) {
        let name = |node| names[&graph.to_index(node)].as_str();
        let (from, to) = (name(edge.source()), name(edge.target()));
        let _ = write!(text, "\n  {from} {arrow} {to}");
        let said = label(edge.weight());
        if !said.is_empty() {
            let _ = write!(text, ": {said}");
        }
    }
    if n_edges > LINES {
        let _ = write!(text, "\n  and {} more", n_edges - LINES);
    }
    bundle(&text, &sketch)
}

/// A knowledge graph, described by `text`.
pub(crate) fn knowledge(graph: &KnowledgeGraph, text: &str) -> Bundle {
    let mut ranked: Vec<_> = graph
        .node_indices()
        .map(|node| (graph.neighbors_undirected(node).count(), node))
        .collect();
    ranked.sort_by_key(|&(degree, node)| (std::cmp::Reverse((degree, graph[node].mentions)), node));
    ranked.truncate(DRAWN);
    let numbers = numbers(ranked.iter().map(|(_, node)| node.index()));
    let edges = graph.edge_references().filter_map(|edge| {
        Some(SketchEdge {
            from: *numbers.get(&edge.source().index())?,
            to: *numbers.get(&edge.target().index())?,
            label: edge.weight().predicate.clone(),
            count: edge.weight().count,
        })
    });
    let communities = graph.node_weights().map(|entity| entity.community);
    let sketch = GraphSketch {
        knowledge: true,
        n_nodes: graph.node_count(),
        n_edges: graph.edge_count(),
        n_communities: communities.max().map_or(0, |most| most + 1),
        edges: edges.collect(),
        nodes: ranked
            .iter()
            .map(|&(degree, node)| SketchNode {
                name: graph[node].name.clone(),
                degree: u32::try_from(degree).unwrap_or(u32::MAX),
                mentions: graph[node].mentions,
                community: graph[node].community,
            })
            .collect(),
    };
    bundle(text, &sketch)
}

fn numbers(nodes: impl Iterator<Item = usize>) -> std::collections::HashMap<usize, u32> {
    nodes.zip(0..).collect()
}

fn bundle(text: &str, sketch: &GraphSketch) -> Bundle {
    let bundle = Bundle::plain(text);
    match serde_json::to_value(sketch) {
        Ok(sketch) => bundle.with_json(SKETCH_MIME, sketch),
        // Words are enough where there is no picture.
        Err(_) => bundle,
    }
}

/// A weight in a few words: of a text without its quotes, of `()` nothing.
fn label(weight: &dyn Debug) -> String {
    let text = crate::cells::debug_text(weight);
    let text = serde_json::from_str(&text).unwrap_or(text);
    if text == "()" {
        return String::new();
    }
    crate::show::cut(&text.replace(char::is_control, " "), NAME)
}
