//! From a graph in any unit to a scene in pixels: scaled, with radii, and with nodes pushed apart where they touch.

use mlk8s_catalog::view::{EdgeView, GraphView};

use super::graph_fit::{self, WIDTH};

/// Smallest and largest radius in a small graph.
const RADII: [f32; 2] = [3.2, 21.0];
/// Space between nodes that would touch.
const GAP: f32 = 1.6;
/// Rounds of pushing; touching nodes are apart after a few.
const ROUNDS: usize = 40;

/// A graph ready to be drawn.
pub(crate) struct Scene {
    /// Height in pixels; the width is [`WIDTH`].
    pub(crate) height: f32,
    /// The nodes' circles, as the nodes of the view are numbered.
    pub(crate) circles: Vec<Circle>,
    /// Width of the rim around each circle.
    pub(crate) rim: f32,
    /// How strongly edges are drawn, 0 to 1: many lie over each other.
    pub(crate) ink: f32,
    /// The edges that join two different nodes of the view.
    pub(crate) arcs: Vec<Arc>,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circle {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) r: f32,
}

/// An edge and how far it bends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arc {
    /// Index of the edge in the view.
    pub(crate) edge: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Distance of the control point from the straight line, as a part of its length; to the left is positive.
    pub(crate) bend: f32,
}

impl Scene {
    /// The scene of `graph`; O(n log n) in the usual case.
    pub(crate) fn of(graph: &GraphView) -> Scene {
        let (points, height) = graph_fit::fit(graph);
        let crowd = crowd(&points);
        let radii = radii(graph, crowd);
        let mut circles: Vec<Circle> = points
            .iter()
            .zip(&radii)
            .map(|(&[x, y], &r)| Circle { x, y, r })
            .collect();
        for _ in 0..ROUNDS {
            if !push_apart(&mut circles) {
                break;
            }
        }
        for circle in &mut circles {
            circle.x = circle.x.clamp(circle.r + 4.0, WIDTH - circle.r - 4.0);
            circle.y = circle.y.clamp(circle.r + 4.0, height - circle.r - 4.0);
        }
        let arcs = arcs(graph);
        Scene {
            height,
            circles,
            rim: 1.1 * crowd.min(1.0),
            ink: (0.36 * (500.0 / arcs.len().max(1) as f32).sqrt()).clamp(0.1, 0.36),
            arcs,
        }
    }

    /// Control point of the curve of `arc`.
    pub(crate) fn control(&self, arc: &Arc) -> [f32; 2] {
        let (a, b) = (self.circles[arc.from], self.circles[arc.to]);
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        [
            f32::midpoint(a.x, b.x) + dy * arc.bend,
            f32::midpoint(a.y, b.y) - dx * arc.bend,
        ]
    }

    /// Nodes from the one that matters most: by degree, then mentions, then as they are numbered.
    pub(crate) fn by_weight(graph: &GraphView) -> Vec<usize> {
        let mut order: Vec<usize> = (0..graph.nodes.len()).collect();
        order.sort_by_key(|&i| {
            (
                std::cmp::Reverse((graph.nodes[i].degree, graph.nodes[i].mentions)),
                i,
            )
        });
        order
    }
}

/// Radii that grow with the square root of the degree, smaller where it is crowded.
fn radii(graph: &GraphView, crowd: f32) -> Vec<f32> {
    let most = graph
        .nodes
        .iter()
        .map(|n| n.degree)
        .max()
        .unwrap_or(0)
        .max(1) as f32;
    let step = ((RADII[1] - RADII[0]) / most.sqrt()).min(3.0);
    graph
        .nodes
        .iter()
        .map(|n| crowd * (RADII[0] + step * (n.degree as f32).sqrt()))
        .collect()
}

/// How large nodes may be: as the room between the usual node and its nearest neighbour allows.
fn crowd(points: &[[f32; 2]]) -> f32 {
    let mut order: Vec<[f32; 2]> = points.to_vec();
    order.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut gaps: Vec<f32> = (0..order.len()).map(|i| nearest(&order, i)).collect();
    gaps.sort_by(f32::total_cmp);
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(100.0);
    (usual / 19.0).clamp(0.4, 1.3)
}

/// Distance from the point `i` to the nearest other one; the points are sorted from left to right.
fn nearest(points: &[[f32; 2]], i: usize) -> f32 {
    let mut least = f32::MAX;
    let mut look = |other: &[f32; 2]| {
        let aside = (other[0] - points[i][0]).abs();
        least = least.min(aside.hypot(other[1] - points[i][1]));
        aside < least
    };
    for other in &points[i + 1..] {
        if !look(other) {
            break;
        }
    }
    for other in points[..i].iter().rev() {
        if !look(other) {
            break;
        }
    }
    least
}

/// Moves circles that touch away from each other, the smaller one farther; says whether any touched.
fn push_apart(circles: &mut [Circle]) -> bool {
    let mut order: Vec<usize> = (0..circles.len()).collect();
    order.sort_by(|&a, &b| circles[a].x.total_cmp(&circles[b].x));
    let widest = circles.iter().map(|c| c.r).fold(0.0, f32::max);
    let mut touched = false;
    for (rank, &i) in order.iter().enumerate() {
        for &j in &order[rank + 1..] {
            if circles[j].x - circles[i].x > circles[i].r + widest + GAP + 8.0 {
                break;
            }
            touched |= push(circles, i, j);
        }
    }
    touched
}

fn push(circles: &mut [Circle], i: usize, j: usize) -> bool {
    let (a, b) = (circles[i], circles[j]);
    let (mut dx, mut dy) = (b.x - a.x, b.y - a.y);
    let mut distance = dx.hypot(dy);
    let overlap = a.r + b.r + GAP - distance;
    if overlap <= 0.0 {
        return false;
    }
    if distance < 1e-3 {
        // Two nodes in one place part in a direction that depends on their numbers only.
        let turn = (i as f32 * 2.4 + j as f32).sin_cos();
        (dx, dy, distance) = (turn.1, turn.0, 1.0);
    }
    let share = b.r * b.r / (a.r * a.r + b.r * b.r).max(1e-6);
    let (ux, uy) = (dx / distance * overlap, dy / distance * overlap);
    circles[i].x -= ux * share;
    circles[i].y -= uy * share;
    circles[j].x += ux * (1.0 - share);
    circles[j].y += uy * (1.0 - share);
    true
}

/// The edges between different nodes; edges between the same two bend apart.
fn arcs(graph: &GraphView) -> Vec<Arc> {
    let n = graph.nodes.len();
    let ends = |edge: &EdgeView| (edge.from as usize, edge.to as usize);
    let mut drawn: Vec<usize> = (0..graph.edges.len())
        .filter(|&e| {
            let (from, to) = ends(&graph.edges[e]);
            from != to && from < n && to < n
        })
        .collect();
    drawn.sort_by_key(|&e| {
        let (from, to) = ends(&graph.edges[e]);
        (from.min(to), from.max(to), from > to, e)
    });
    let mut arcs: Vec<Arc> = Vec::with_capacity(drawn.len());
    for edge in drawn {
        let (from, to) = ends(&graph.edges[edge]);
        let side = arcs
            .iter()
            .rev()
            .take_while(|arc| (arc.from, arc.to) == (from, to))
            .count();
        arcs.push(Arc {
            edge,
            from,
            to,
            bend: (0.09 + 0.075 * side as f32).min(0.6),
        });
    }
    arcs.sort_by_key(|arc| arc.edge);
    arcs
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::NodeView;

    fn graph(points: &[[f32; 2]], edges: &[(u32, u32)]) -> GraphView {
        let node = |&[x, y]: &[f32; 2]| NodeView {
            x,
            y,
            degree: 4,
            ..NodeView::default()
        };
        let edge = |&(from, to): &(u32, u32)| EdgeView {
            from,
            to,
            ..EdgeView::default()
        };
        GraphView {
            nodes: points.iter().map(node).collect(),
            edges: edges.iter().map(edge).collect(),
            ..GraphView::default()
        }
    }

    #[test]
    fn nodes_in_one_place_are_pushed_apart_inside_the_picture() {
        let scene = Scene::of(&graph(&[[0.0, 0.0]; 12], &[]));
        for (i, a) in scene.circles.iter().enumerate() {
            assert!(a.x > a.r && a.x < WIDTH - a.r && a.y > a.r && a.y < scene.height - a.r);
            for b in &scene.circles[..i] {
                assert!((a.x - b.x).hypot(a.y - b.y) >= a.r + b.r, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn nonsense_is_passed_over() {
        let scene = Scene::of(&graph(
            &[[f32::NAN, 1e30], [f32::INFINITY, -1e30]],
            &[(0, 0), (0, 7), (0, 1)],
        ));
        assert_eq!(scene.arcs.len(), 1);
        assert!(
            scene
                .circles
                .iter()
                .all(|c| c.x.is_finite() && c.y.is_finite())
        );
        assert_eq!(Scene::of(&GraphView::default()).circles.len(), 0);
    }

    #[test]
    fn edges_between_the_same_nodes_bend_apart() {
        let scene = Scene::of(&graph(&[[0.0, 0.0], [9.0, 0.0]], &[(0, 1), (1, 0), (0, 1)]));
        let mut heights: Vec<f32> = scene.arcs.iter().map(|arc| scene.control(arc)[1]).collect();
        heights.sort_by(f32::total_cmp);
        heights.dedup_by(|a, b| (*a - *b).abs() < 1.0);
        assert_eq!(heights.len(), 3);
    }
}
