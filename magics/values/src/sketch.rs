//! A graph as it crosses to be drawn: the names, without the values behind them.

use serde::{Deserialize, Serialize};

/// The nodes of a graph that are to be drawn, and the edges between them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GraphSketch {
    /// It is a knowledge graph, and its communities are known.
    pub knowledge: bool,
    /// Nodes of the whole graph.
    pub n_nodes: usize,
    /// Edges of the whole graph.
    pub n_edges: usize,
    /// Communities of the whole graph; 0 where nobody has looked for them.
    pub n_communities: u32,
    /// The nodes that are drawn.
    pub nodes: Vec<SketchNode>,
    /// The edges that are drawn.
    pub edges: Vec<SketchEdge>,
}

/// A node of a [`GraphSketch`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SketchNode {
    /// What is written beside it.
    pub name: String,
    /// Edges of the node in the whole graph.
    pub degree: u32,
    /// How often it is mentioned; 0 where that has no meaning.
    pub mentions: u32,
    /// Its community, numbered from 0.
    pub community: u32,
}

/// An edge of a [`GraphSketch`], by index into its nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SketchEdge {
    /// Where it begins.
    pub from: u32,
    /// Where it ends.
    pub to: u32,
    /// What it says.
    pub label: String,
    /// How often it is stated; 1 where that has no meaning.
    pub count: u32,
}

/// The MIME type of a [`GraphSketch`] as JSON, between the process for Rust cells and the kernel.
pub const SKETCH_MIME: &str = "application/vnd.mlk8s.graph+json";
