//! A graph of a Rust cell, laid out to be drawn.

use mlk8s_graph::community::communities;
use mlk8s_graph::layout::layout;
pub use mlk8s_values::{GraphSketch, SKETCH_MIME};

use crate::view::{EdgeView, GraphView, NodeView, Wording};

/// Seed of the layout: the same graph looks the same.
const SEED: u64 = 7;

/// The view of `sketch`; `None` when an edge points at a node that is not there.
pub fn lay_out(sketch: GraphSketch) -> Option<GraphView> {
    let n = u32::try_from(sketch.nodes.len()).ok()?;
    let springs: Vec<(u32, u32, f32)> = sketch
        .edges
        .iter()
        .map(|edge| (edge.from.max(edge.to) < n).then_some((edge.from, edge.to, 1.0)))
        .collect::<Option<_>>()?;
    let places = layout(sketch.nodes.len(), &springs, SEED);
    let found = if sketch.knowledge {
        sketch.nodes.iter().map(|node| node.community).collect()
    } else {
        communities(sketch.nodes.len(), &springs)
    };
    let n_communities = if sketch.knowledge {
        sketch.n_communities
    } else {
        found.iter().max().map_or(0, |most| most + 1)
    };
    let wording = if sketch.knowledge {
        Wording::Knowledge
    } else {
        Wording::Graph
    };
    let hidden = (
        sketch.n_nodes.saturating_sub(sketch.nodes.len()),
        sketch.n_edges.saturating_sub(sketch.edges.len()),
    );
    let left_out = if hidden == (0, 0) {
        String::new()
    } else {
        let (nodes, edges) = (wording.nodes(hidden.0), wording.edges(hidden.1));
        format!("not shown: {nodes} and {edges}")
    };
    let nodes = sketch.nodes.into_iter().zip(places).zip(found);
    let nodes = nodes.map(|((node, [x, y]), community)| NodeView {
        name: node.name,
        x,
        y,
        degree: node.degree,
        mentions: node.mentions,
        community,
        ..NodeView::default()
    });
    let edges = sketch.edges.into_iter().map(|edge| EdgeView {
        from: edge.from,
        to: edge.to,
        predicate: edge.label,
        count: edge.count,
        ..EdgeView::default()
    });
    Some(GraphView {
        wording,
        nodes: nodes.collect(),
        edges: edges.collect(),
        n_communities,
        left_out,
        ..GraphView::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_values::{SketchEdge, SketchNode};

    fn edge(from: u32, to: u32) -> SketchEdge {
        SketchEdge {
            from,
            to,
            count: 1,
            ..SketchEdge::default()
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let node = SketchNode {
            name: "a".to_owned(),
            ..SketchNode::default()
        };
        let sketch = GraphSketch {
            n_nodes: 5,
            n_edges: 2,
            nodes: vec![node.clone(), node],
            edges: vec![edge(0, 1)],
            ..GraphSketch::default()
        };
        let view = lay_out(sketch.clone()).unwrap();
        assert_eq!(view.left_out, "not shown: 3 nodes and 1 edge");
        assert_eq!(view.n_communities, 1);
        let wrong = GraphSketch {
            edges: vec![edge(0, 2)],
            ..sketch
        };
        assert_eq!(lay_out(wrong), None);
    }
}
