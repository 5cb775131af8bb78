//! The static picture of a graph: what is seen wherever scripts do not run.

use std::collections::BTreeMap;
use std::fmt::Write;

use mlk8s_catalog::view::GraphView;

use super::graph_fit::WIDTH;
use super::graph_labels::{self, Anchor};
use super::graph_scene::Scene;
use super::{escape, palette};

const FONTS: &str =
    "Inter, Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif";

/// The picture of `graph` as an SVG document.
pub(crate) fn picture(graph: &GraphView, scene: &Scene) -> String {
    let height = scene.height;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         font-family=\"{FONTS}\">\n<title>{}</title>\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{:.0}\" rx=\"8\" fill=\"#fcfcfd\" stroke=\"#e4e7eb\"/>\n",
        escape::text(&graph.title),
        WIDTH - 1.0,
        height - 1.0,
    );
    edges(&mut out, graph, scene);
    nodes(&mut out, graph, scene);
    labels(&mut out, graph, scene);
    out.push_str("</svg>\n");
    out
}

/// One path for all edges of one colour and width.
fn edges(out: &mut String, graph: &GraphView, scene: &Scene) {
    let mut paths: BTreeMap<(usize, u32), String> = BTreeMap::new();
    for arc in &scene.arcs {
        let colour = palette::place(graph.nodes[arc.from].community);
        let weight = graph.edges[arc.edge].count.max(1).ilog2().min(3);
        let (a, b) = (scene.circles[arc.from], scene.circles[arc.to]);
        let [cx, cy] = scene.control(arc);
        let path = paths.entry((colour, weight)).or_default();
        let _ = write!(
            path,
            "M{:.1} {:.1}Q{cx:.1} {cy:.1} {:.1} {:.1}",
            a.x, a.y, b.x, b.y
        );
    }
    let _ = writeln!(
        out,
        "<g fill=\"none\" stroke-opacity=\"{:.2}\" stroke-linecap=\"round\">",
        scene.ink
    );
    for ((colour, weight), path) in paths {
        let stroke = palette::COMMUNITIES
            .get(colour)
            .copied()
            .unwrap_or(palette::REST);
        let _ = writeln!(
            out,
            "<path stroke=\"{stroke}\" stroke-width=\"{:.1}\" d=\"{path}\"/>",
            0.9 + 0.55 * weight as f32
        );
    }
    out.push_str("</g>\n");
}

/// Circles, the lightest first, so that hubs lie on top.
fn nodes(out: &mut String, graph: &GraphView, scene: &Scene) {
    let _ = writeln!(out, "<g stroke=\"#fff\" stroke-width=\"{:.2}\">", scene.rim);
    for i in Scene::by_weight(graph).into_iter().rev() {
        let (node, c) = (&graph.nodes[i], scene.circles[i]);
        let fill = palette::colour(node.community);
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\" fill=\"{fill}\"/>",
            c.x, c.y, c.r
        );
    }
    out.push_str("</g>\n");
}

fn labels(out: &mut String, graph: &GraphView, scene: &Scene) {
    out.push_str(
        "<g fill=\"#1d2530\" stroke=\"#fcfcfd\" stroke-width=\"3.2\" stroke-linejoin=\"round\" paint-order=\"stroke\">\n",
    );
    for label in graph_labels::place(graph, scene) {
        let weight = if scene.circles[label.node].r > 11.0 {
            " font-weight=\"600\""
        } else {
            ""
        };
        let anchor = match label.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{:.1}\"{weight}{anchor}>{}</text>",
            label.x,
            label.y,
            label.size,
            escape::text(&label.text),
        );
    }
    out.push_str("</g>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::{EdgeView, NodeView};

    #[test]
    fn names_are_text_and_the_picture_is_whole() {
        let node = |name: &str, x| NodeView {
            name: name.to_owned(),
            x,
            degree: 1,
            ..NodeView::default()
        };
        let graph = GraphView {
            title: "</title><script>".to_owned(),
            nodes: vec![node("</svg><b>\"'&\0", 0.0), node("]]>", 1.0)],
            edges: vec![EdgeView {
                to: 1,
                count: 9,
                ..EdgeView::default()
            }],
            ..GraphView::default()
        };
        let svg = picture(&graph, &Scene::of(&graph));
        assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains('\0'));
        assert_eq!(svg.matches("</svg>").count(), 1);
        assert!(
            svg.contains("&lt;/svg&gt;&lt;b&gt;&quot;&#39;&amp;\u{fffd}</text>"),
            "{svg}"
        );
        assert!(svg.contains("stroke-width=\"2.6\""), "{svg}");
    }
}
