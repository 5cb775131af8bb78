//! A knowledge graph as a figure: a picture, what it shows in words, a table, and a script that makes it react.

use mlk8s_catalog::sketch::{self, SKETCH_MIME};
use mlk8s_catalog::view::{Column, GraphView, Table, Wording};
use serde_json::{Map, Value};

use super::figure::{self, Figure, Live};
use super::graph_scene::Scene;
use super::{Drawn, escape, graph_data, graph_svg, table};

/// The script that makes a graph react; it has no dependencies and needs no network.
const SCRIPT: &str = concat!(
    "(function () {\n\"use strict\";\n",
    include_str!("page.js"),
    include_str!("graph_panel.js"),
    include_str!("graph_search.js"),
    include_str!("graph.js"),
    "})();"
);
/// What the script's drawing looks like.
const LIVE_STYLE: &str = include_str!("graph.css");
/// Entities in the table below the picture.
const ROWS: usize = 15;

/// The picture of `graph` and its figure.
pub(crate) fn draw(graph: &GraphView) -> Drawn {
    let scene = Scene::of(graph);
    let svg = graph_svg::picture(graph, &scene);
    let order = Scene::by_weight(graph);
    let hubs: Vec<&str> = order
        .iter()
        .take(5)
        .map(|&i| graph.nodes[i].name.as_str())
        .collect();
    let live = (!graph.nodes.is_empty()).then(|| Live {
        script: SCRIPT,
        data: graph_data::json(graph, &scene),
        style: LIVE_STYLE,
    });
    let figure = Figure {
        svg: &svg,
        alt: &format!(
            "{}. {}. Most connected: {}",
            match graph.wording {
                Wording::Knowledge => "Knowledge graph",
                Wording::Graph => "Graph",
            },
            counts(graph),
            hubs.join(", ")
        ),
        caption: caption(graph),
        details: Some((
            match graph.wording {
                Wording::Knowledge => "Most connected entities",
                Wording::Graph => "Most connected nodes",
            },
            table::bare(&most_connected(graph, &order)),
        )),
        live,
    };
    Drawn {
        html: figure::html(&figure, 960),
        svg: Some(svg),
    }
}

/// Draws the graph that a Rust cell has sketched.
pub(crate) fn enrich(bundle: &mut Map<String, Value>) {
    let Some(sketch) = bundle.remove(SKETCH_MIME) else {
        return;
    };
    // Whoever writes the type himself, and wrongly, has the other forms of the value.
    let view = serde_json::from_value(sketch)
        .ok()
        .and_then(sketch::lay_out);
    let Some(view) = view else { return };
    let drawn = draw(&view);
    bundle.insert("text/html".to_owned(), drawn.html.into());
    if let Some(svg) = drawn.svg {
        bundle.insert("image/svg+xml".to_owned(), svg.into());
    }
}

fn caption(graph: &GraphView) -> String {
    let title = if graph.title.is_empty() {
        String::new()
    } else {
        format!("<strong>{}</strong> · ", escape::text(&graph.title))
    };
    let left_out = if graph.left_out.is_empty() {
        String::new()
    } else {
        format!("<br><small>{}</small>", escape::text(&graph.left_out))
    };
    format!("{title}{}{left_out}", counts(graph))
}

fn counts(graph: &GraphView) -> String {
    let communities = match graph.n_communities {
        0 => String::new(),
        1 => ", 1 community".to_owned(),
        n => format!(", {n} communities"),
    };
    format!(
        "{}, {}{communities}",
        graph.wording.nodes(graph.nodes.len()),
        graph.wording.edges(graph.edges.len()),
    )
}

fn most_connected(graph: &GraphView, order: &[usize]) -> Table {
    let row = |&i: &usize| {
        let node = &graph.nodes[i];
        let aliases: Vec<&str> = node.aliases.iter().take(4).map(String::as_str).collect();
        vec![
            node.name.clone(),
            node.degree.to_string(),
            node.mentions.to_string(),
            aliases.join(", "),
        ]
    };
    let mut columns = vec![
        Column::text("Entity"),
        Column::number("Relations"),
        Column::number("Mentions"),
        Column::text("Also written"),
    ];
    let mut rows: Vec<Vec<String>> = order.iter().take(ROWS).map(row).collect();
    if graph.wording == Wording::Graph {
        columns = vec![Column::text("Node"), Column::number("Edges")];
        for row in &mut rows {
            row.truncate(2);
        }
    }
    Table {
        columns,
        rows,
        ..Table::default()
    }
}
