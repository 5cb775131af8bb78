//! `%kg show`: draws a graph, or what is near one entity.

use clap::Args;
use mlk8s_graph::picture::{self, Picture, PictureOptions};

use crate::call::Call;
use crate::error::MagicError;
use crate::names::ValueName;
use crate::view::{EdgeView, GraphView, NodeView, SourceView, View, Wording};

/// Draw a graph, or what is near one entity
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the graph
    #[arg(default_value = "kg")]
    kg: ValueName,
    /// Draw only what is near this entity; `auto` is the one with the most relations
    #[arg(long, value_name = "TERM")]
    around: Option<String>,
    /// How many relations away from it
    #[arg(long, value_name = "N", default_value = "2", requires = "around")]
    hops: u32,
    /// Number of entities at most; the best-connected ones are kept
    #[arg(long, value_name = "N", default_value = "160")]
    limit: usize,
}

impl Show {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let (_, index) = call.session.graph(self.kg.as_str())?;
        let options = PictureOptions {
            around: self.around.clone(),
            hops: self.hops,
            limit: self.limit.max(2),
        };
        let picture = picture::picture(index.graph(), &options)?;
        let around = picture
            .centre
            .as_ref()
            .map(|centre| format!(" around {centre}"));
        let title = format!(
            "{}: {} entities, {} relations{}",
            self.kg,
            picture.nodes.len(),
            picture.edges.len(),
            around.unwrap_or_default()
        );
        Ok(View::Graph(Box::new(view(picture, title))))
    }
}

fn view(picture: Picture, title: String) -> GraphView {
    let left_out = picture.left_out.to_string();
    GraphView {
        wording: Wording::Knowledge,
        title,
        n_communities: picture.n_communities,
        nodes: picture
            .nodes
            .into_iter()
            .map(|node| NodeView {
                name: node.name,
                aliases: node.aliases,
                x: node.x,
                y: node.y,
                degree: node.degree,
                mentions: node.mentions,
                community: node.community,
            })
            .collect(),
        edges: picture
            .edges
            .into_iter()
            .map(|edge| EdgeView {
                from: edge.from,
                to: edge.to,
                predicate: edge.predicate,
                count: edge.count,
                sources: edge
                    .sources
                    .into_iter()
                    .map(|source| SourceView {
                        title: source.title,
                        sentence: source.sentence,
                    })
                    .collect(),
            })
            .collect(),
        left_out,
    }
}
