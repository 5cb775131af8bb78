//! Which names are written into the static picture, and where: greedy placement, hubs first.

use mlk8s_catalog::view::GraphView;

use super::escape;
use super::graph_fit::WIDTH;
use super::graph_scene::{Circle, Scene};

/// Characters of a name that are written.
const LETTERS: usize = 30;
/// Names in a picture at most.
const MOST: usize = 60;
/// The first hubs keep their label even where it covers smaller nodes.
const SURE: usize = 14;

/// A name in the picture.
pub(crate) struct Label {
    /// The node it names.
    pub(crate) node: usize,
    /// The name, cut where it is long.
    pub(crate) text: String,
    /// Where the base line begins, ends or has its middle, as `anchor` says.
    pub(crate) x: f32,
    /// Height of the base line.
    pub(crate) y: f32,
    /// Font size.
    pub(crate) size: f32,
    /// The end of the name that does not move when the reader's font is narrower than was thought.
    pub(crate) anchor: Anchor,
}

/// The fixed end of a name: the one at its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// The ends at the node for each of the seats around it.
const ANCHORS: [Anchor; 8] = [
    Anchor::Start,
    Anchor::End,
    Anchor::Middle,
    Anchor::Middle,
    Anchor::Start,
    Anchor::Start,
    Anchor::End,
    Anchor::End,
];

#[derive(Clone, Copy)]
struct Rect {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

/// Labels that neither cover each other nor the nodes that matter more.
pub(crate) fn place(graph: &GraphView, scene: &Scene) -> Vec<Label> {
    let mut placed: Vec<(Label, Rect)> = Vec::new();
    for (rank, node) in Scene::by_weight(graph).into_iter().enumerate() {
        if placed.len() >= MOST || rank > 20 * MOST {
            break;
        }
        let text = escape::cut(graph.nodes[node].name.trim(), LETTERS);
        if text.is_empty() {
            continue;
        }
        let circle = scene.circles[node];
        let size = (9.6 + circle.r * 0.28).clamp(10.0, 15.0);
        let best = seats(circle, width(&text) * size, size)
            .into_iter()
            .enumerate()
            .filter_map(|(seat, rect)| {
                cost(rect, seat, node, scene, &placed).map(|cost| (cost, rect, seat))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((cost, rect, seat)) = best
            && cost < if rank < SURE { f32::MAX } else { 6.0 }
        {
            let anchor = ANCHORS[seat];
            let x = match anchor {
                Anchor::Start => rect.left,
                Anchor::Middle => f32::midpoint(rect.left, rect.right),
                Anchor::End => rect.right,
            };
            let y = rect.bottom - size * 0.26;
            placed.push((
                Label {
                    node,
                    text,
                    x,
                    y,
                    size,
                    anchor,
                },
                rect,
            ));
        }
    }
    placed.into_iter().map(|(label, _)| label).collect()
}

/// The places around a node for a label of this size, the best ones first.
fn seats(c: Circle, wide: f32, size: f32) -> [Rect; 8] {
    let gap = c.r + 3.0;
    let slant = c.r * 0.72 + 2.0;
    let high = size * 1.22;
    let at = |left: f32, top: f32| Rect {
        left,
        top,
        right: left + wide,
        bottom: top + high,
    };
    [
        at(c.x + gap, c.y - high / 2.0),
        at(c.x - gap - wide, c.y - high / 2.0),
        at(c.x - wide / 2.0, c.y - gap - high),
        at(c.x - wide / 2.0, c.y + gap),
        at(c.x + slant, c.y - slant - high * 0.8),
        at(c.x + slant, c.y + slant - high * 0.2),
        at(c.x - slant - wide, c.y - slant - high * 0.8),
        at(c.x - slant - wide, c.y + slant - high * 0.2),
    ]
}

/// How bad a place is; `None` where it covers another label or leaves the picture.
fn cost(
    rect: Rect,
    seat: usize,
    node: usize,
    scene: &Scene,
    placed: &[(Label, Rect)],
) -> Option<f32> {
    if rect.left < 6.0
        || rect.top < 6.0
        || rect.right > WIDTH - 6.0
        || rect.bottom > scene.height - 6.0
    {
        return None;
    }
    let apart = |r: &Rect| {
        rect.right + 4.0 < r.left
            || r.right + 4.0 < rect.left
            || rect.bottom < r.top
            || r.bottom < rect.top
    };
    if !placed.iter().all(|(_, other)| apart(other)) {
        return None;
    }
    let mut cost = seat as f32 * 0.35;
    for (i, c) in scene.circles.iter().enumerate() {
        let dx = (c.x - c.x.clamp(rect.left, rect.right)).abs();
        let dy = (c.y - c.y.clamp(rect.top, rect.bottom)).abs();
        let covered = c.r + 1.0 - dx.hypot(dy);
        if i != node && covered > 0.0 {
            cost += 2.0 + covered * c.r * 0.4;
        }
    }
    Some(cost)
}

/// Width of `text` in parts of the font size, on the generous side because the reader's font is not known.
fn width(text: &str) -> f32 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | '\'' | ':' | ';' | '|' | '!' | ' ' => 0.33,
            'f' | 't' | 'r' | '-' | '(' | ')' | '/' => 0.42,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.92,
            'A'..='Z' => 0.72,
            c if (c as u32) < 0x0300 => 0.59,
            '\u{0300}'..='\u{036f}' => 0.0,
            c if (c as u32) >= 0x1100 => 1.05,
            _ => 0.66,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::NodeView;

    #[test]
    fn labels_do_not_cover_each_other() {
        let node = |i: u16| NodeView {
            name: format!("a rather long name {i}"),
            x: f32::from(i % 12),
            y: f32::from(i / 12),
            degree: u32::from(i),
            ..NodeView::default()
        };
        let graph = GraphView {
            nodes: (0..144).map(node).collect(),
            ..GraphView::default()
        };
        let scene = Scene::of(&graph);
        let labels = place(&graph, &scene);
        assert!(labels.len() >= SURE, "{}", labels.len());
        let left = |label: &Label| match label.anchor {
            Anchor::Start => label.x,
            Anchor::Middle => label.x - width(&label.text) * label.size / 2.0,
            Anchor::End => label.x - width(&label.text) * label.size,
        };
        let right = |label: &Label| left(label) + width(&label.text) * label.size;
        for (i, a) in labels.iter().enumerate() {
            assert!(left(a) > 0.0 && right(a) < WIDTH);
            for b in &labels[..i] {
                let beside = right(a) < left(b) || right(b) < left(a);
                assert!(beside || (a.y - b.y).abs() > 10.0, "{} {}", a.text, b.text);
            }
        }
    }

    #[test]
    fn a_name_without_letters_gets_no_label() {
        let graph = GraphView {
            nodes: vec![NodeView::default()],
            ..GraphView::default()
        };
        assert!(place(&graph, &Scene::of(&graph)).is_empty());
    }
}
