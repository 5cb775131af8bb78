//! `%kg export`: writes a graph for other programs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mlk8s_graph::export;

use crate::call::Call;
use crate::error::MagicError;
use crate::names::ValueName;
use crate::view::View;

/// Write a graph for another program
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Name of the graph
    #[arg(default_value = "kg")]
    kg: ValueName,
    /// Form of the file
    #[arg(long, value_enum)]
    format: Format,
    /// File to write, or folder for `csv` and `parquet`, which are several tables; by default the name of the graph
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

/// Forms in which a graph can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// XML for Gephi, Cytoscape, yEd and networkx
    Graphml,
    /// Tables of entities, relations and triples as text
    Csv,
    /// The same tables as Parquet
    Parquet,
    /// One RDF statement a line
    Ntriples,
}

impl Export {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let (_, index) = call.session.graph(self.kg.as_str())?;
        let ending = match self.format {
            Format::Graphml => ".graphml",
            Format::Csv => "_csv",
            Format::Parquet => "_parquet",
            Format::Ntriples => ".nt",
        };
        let out = self
            .out
            .unwrap_or_else(|| PathBuf::from(format!("{}{ending}", self.kg)));
        let path = call.session.resolve(&out);
        let (graph, triples) = (index.graph(), index.triples());
        match self.format {
            Format::Graphml => export::graphml(graph, &triples, &path)?,
            Format::Csv => export::csv(graph, &triples, &path)?,
            Format::Parquet => export::parquet(graph, &triples, &path)?,
            Format::Ntriples => export::ntriples(graph, &triples, &path)?,
        }
        Ok(View::Text(format!(
            "{} entities, {} relations and {} triples written to {}",
            graph.node_count(),
            graph.edge_count(),
            triples.height(),
            path.display()
        )))
    }
}
