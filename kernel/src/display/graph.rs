//! A knowledge graph as a figure: a picture, what it shows in words, a table, and a script that makes it react.

use mlk8s_catalog::view::{Column, GraphView, Table};

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
            "Knowledge graph. {}. Most connected: {}",
            counts(graph),
            hubs.join(", ")
        ),
        caption: caption(graph),
        details: Some((
            "Most connected entities",
            table::bare(&most_connected(graph, &order)),
        )),
        live,
    };
    Drawn {
        html: figure::html(&figure, 960),
        svg: Some(svg),
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
    let count =
        |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    [
        count(graph.nodes.len(), "entity", "entities"),
        count(graph.edges.len(), "relation", "relations"),
        count(graph.n_communities as usize, "community", "communities"),
    ]
    .join(", ")
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
    Table {
        columns: vec![
            Column::text("Entity"),
            Column::number("Relations"),
            Column::number("Mentions"),
            Column::text("Also written"),
        ],
        rows: order.iter().take(ROWS).map(row).collect(),
        ..Table::default()
    }
}
