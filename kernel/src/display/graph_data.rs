//! What the script of a graph figure is given: the scene, the names, and the sentences behind the edges.

use std::collections::BTreeMap;

use mlk8s_catalog::view::{GraphView, SourceView, Wording};
use serde_json::{Value, json};

use super::escape::cut;
use super::graph_fit::WIDTH;
use super::graph_scene::Scene;
use super::palette;

/// Characters of a sentence that are kept.
const SENTENCE: usize = 600;
/// Characters of a name, a relation or a title that are kept.
const NAME: usize = 200;
/// Sentences of one relation that are kept, and of all relations together where each keeps one at least.
const SENTENCES: [usize; 2] = [8, 8000];
/// Aliases of an entity that are kept.
const ALIASES: usize = 20;

/// The data as JSON: rows instead of objects, and each title and sentence once, because figures go into notebooks.
pub(crate) fn json(graph: &GraphView, scene: &Scene) -> Value {
    let mut texts = Texts::default();
    let each = (SENTENCES[1] / scene.arcs.len().max(1)).clamp(1, SENTENCES[0]);
    let nodes: Vec<Value> = graph
        .nodes
        .iter()
        .zip(&scene.circles)
        .map(|(node, c)| {
            let aliases: Vec<String> = node
                .aliases
                .iter()
                .take(ALIASES)
                .map(|a| cut(a, NAME))
                .collect();
            let (x, y, r) = (tenth(c.x), tenth(c.y), tenth(c.r));
            json!([
                cut(&node.name, NAME),
                x,
                y,
                r,
                node.degree,
                node.mentions,
                node.community,
                aliases
            ])
        })
        .collect();
    let edges: Vec<Value> = scene
        .arcs
        .iter()
        .map(|arc| {
            let edge = &graph.edges[arc.edge];
            let sources: Vec<usize> = edge
                .sources
                .iter()
                .take(each)
                .map(|source| texts.source(source))
                .collect();
            json!([
                arc.from,
                arc.to,
                cut(&edge.predicate, NAME),
                edge.count,
                tenth(arc.bend * 100.0),
                sources
            ])
        })
        .collect();
    let colours: Vec<&str> = palette::COMMUNITIES
        .into_iter()
        .chain([palette::REST])
        .collect();
    json!({
        "title": graph.title,
        "plain": graph.wording == Wording::Graph,
        "grouped": graph.n_communities > 0,
        "width": WIDTH,
        "height": scene.height.round(),
        "rim": tenth(scene.rim),
        "ink": f64::from((scene.ink * 100.0).round()) / 100.0,
        "colours": colours,
        "nodes": nodes,
        "edges": edges,
        "titles": texts.titles,
        "sentences": texts.sentences,
    })
}

/// Titles and sentences, each kept once.
#[derive(Default)]
struct Texts<'a> {
    titles: Vec<String>,
    sentences: Vec<(usize, String)>,
    title_at: BTreeMap<&'a str, usize>,
    sentence_at: BTreeMap<(usize, &'a str), usize>,
}

impl<'a> Texts<'a> {
    /// The place of a sentence and its title.
    fn source(&mut self, source: &'a SourceView) -> usize {
        let title = *self.title_at.entry(&source.title).or_insert_with(|| {
            self.titles.push(cut(&source.title, NAME));
            self.titles.len() - 1
        });
        *self
            .sentence_at
            .entry((title, &source.sentence))
            .or_insert_with(|| {
                self.sentences
                    .push((title, cut(&source.sentence, SENTENCE)));
                self.sentences.len() - 1
            })
    }
}

/// One decimal is finer than a pixel and keeps the notebook small.
fn tenth(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::{EdgeView, NodeView};

    #[test]
    fn a_sentence_behind_two_edges_is_kept_once() {
        let source = SourceView {
            title: "t".to_owned(),
            sentence: "A sees B.".to_owned(),
        };
        let edge = EdgeView {
            to: 1,
            sources: vec![source],
            ..EdgeView::default()
        };
        let graph = GraphView {
            nodes: vec![
                NodeView {
                    x: 1.0,
                    ..NodeView::default()
                },
                NodeView::default(),
            ],
            edges: vec![edge.clone(), edge],
            ..GraphView::default()
        };
        let data = json(&graph, &Scene::of(&graph));
        assert_eq!(data["titles"], json!(["t"]));
        assert_eq!(data["sentences"], json!([[0, "A sees B."]]));
        assert_eq!(data["edges"][1][5], json!([0]));
    }
}
