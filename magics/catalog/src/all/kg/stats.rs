//! `%kg stats`: how large a graph is and what is in its centre.

use std::path::Path;

use clap::Args;
use mlk8s_graph::Index;

use super::meaning;
use crate::call::Call;
use crate::error::MagicError;
use crate::names::ValueName;
use crate::view::{Column, Table, View};

/// How many hubs are listed.
const N_HUBS: usize = 12;

/// Count what is in a graph and list its hubs
#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Name of the graph
    #[arg(default_value = "kg")]
    kg: ValueName,
}

impl Stats {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let (dir, index) = call.session.graph(self.kg.as_str())?;
        let mut sizes = sizes(&index, &dir);
        sizes.title = self.kg.to_string();
        Ok(View::Stack(vec![
            View::Table(sizes),
            View::Table(hubs(&index)),
        ]))
    }
}

/// The counts of the graph that is stored in `dir`.
pub(super) fn sizes(index: &Index, dir: &Path) -> Table {
    let stats = index.stats();
    let rows = [
        ("documents", stats.documents),
        ("sentences", stats.sentences),
        ("triples", stats.triples),
        ("entities", stats.entities),
        ("relations", stats.relations),
        ("communities", stats.communities),
        ("components", stats.components),
        ("names merged", stats.merged),
    ];
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(what, number)| vec![(*what).to_owned(), number.to_string()])
        .collect();
    if let Some(known) = meaning::known(dir) {
        let what = format!("passages found by meaning ({})", known.model);
        rows.push(vec![what, known.n_passages.to_string()]);
    }
    Table {
        columns: vec![Column::text("what"), Column::number("number")],
        rows,
        ..Table::default()
    }
}

/// The entities with the most relations.
fn hubs(index: &Index) -> Table {
    let graph = index.graph();
    let mut ranked: Vec<_> = graph
        .node_indices()
        .map(|node| (graph.neighbors_undirected(node).count(), node))
        .collect();
    ranked.sort_by_key(|&(degree, node)| (std::cmp::Reverse(degree), node));
    let rows = ranked.iter().take(N_HUBS).map(|&(degree, node)| {
        let entity = &graph[node];
        vec![
            entity.name.clone(),
            degree.to_string(),
            entity.mentions.to_string(),
            entity.documents.to_string(),
            entity.community.to_string(),
            entity.aliases.join(", "),
        ]
    });
    Table {
        title: "hubs".to_owned(),
        columns: vec![
            Column::text("entity"),
            Column::number("relations"),
            Column::number("mentions"),
            Column::number("documents"),
            Column::number("community"),
            Column::text("also written"),
        ],
        rows: rows.collect(),
        note: String::new(),
    }
}
