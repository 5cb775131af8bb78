//! From triples between mentions to the graph that people see: entities joined by relations.

use std::collections::{BTreeMap, HashMap};

use mlk8s_values::{Entity, KnowledgeGraph, Relation, Source};
use petgraph::graph::NodeIndex;

use crate::community::communities;
use crate::entity::{Resolved, telling};
use crate::extract::{Analysed, Sentence, Triple};

/// Sources kept with a relation; its count says how many there are.
const MOST_SOURCES: usize = 8;
/// Words of a predicate, at most.
const PREDICATE_WORDS: usize = 5;
/// Mentions from which a common noun deep in an object is a node of its own.
const FREQUENT: u32 = 3;
/// Mentions from which an entity without relations is a node.
const WORTH_A_NODE: u32 = 2;
/// Stands for the words between a verb and a later part of its object.
const GAP: &str = " … ";
/// Words that join an object's parts to its verb.
const PREPOSITIONS: &[&str] = &[
    "about", "across", "after", "against", "among", "as", "at", "before", "between", "by",
    "during", "for", "from", "in", "into", "of", "on", "over", "per", "through", "to", "under",
    "via", "with", "within", "without",
];

/// A triple between two things, by number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement<'a> {
    pub(crate) subject: u32,
    pub(crate) predicate: String,
    pub(crate) object: u32,
    pub(crate) confidence: f32,
    pub(crate) document: &'a Analysed,
    pub(crate) sentence: &'a Sentence,
}

/// The graph, and the node of each thing that has one.
pub(crate) fn graph(documents: &[Analysed], resolved: &Resolved) -> KnowledgeGraph {
    let statements = statements(documents, resolved);
    let shown = |thing: &u32| telling(&resolved.things[*thing as usize].key);
    let mut related = vec![false; resolved.things.len()];
    for statement in &statements {
        related[statement.subject as usize] = true;
        related[statement.object as usize] = true;
    }
    let mut graph = KnowledgeGraph::new();
    let mut nodes: HashMap<u32, NodeIndex> = HashMap::new();
    for (index, thing) in resolved.things.iter().enumerate() {
        let index_u32 = index as u32;
        if related[index] || (thing.n_mentions >= WORTH_A_NODE && shown(&index_u32)) {
            let node = graph.add_node(Entity {
                name: thing.name.clone(),
                aliases: thing.aliases.clone(),
                mentions: thing.n_mentions,
                documents: thing.n_documents,
                community: 0,
            });
            nodes.insert(index_u32, node);
        }
    }
    let mut relations: BTreeMap<(u32, String, u32), Vec<&Statement>> = BTreeMap::new();
    for statement in &statements {
        let key = (
            statement.subject,
            statement.predicate.to_lowercase(),
            statement.object,
        );
        relations.entry(key).or_default().push(statement);
    }
    for ((subject, _, object), stated) in relations {
        graph.add_edge(nodes[&subject], nodes[&object], relation(&stated));
    }
    number_communities(&mut graph);
    graph
}

/// All statements between things that may be nodes, in order of documents and text.
pub(crate) fn statements<'a>(documents: &'a [Analysed], resolved: &Resolved) -> Vec<Statement<'a>> {
    let mut all = Vec::new();
    for (d, document) in documents.iter().enumerate() {
        for (s, sentence) in document.sentences.iter().enumerate() {
            let thing = |mention: u32| {
                let thing = resolved.thing(d, s, mention as usize)?;
                telling(&resolved.things[thing as usize].key).then_some(thing)
            };
            for triple in &sentence.triples {
                let Some(subject) = triple.subject_mention.and_then(thing) else {
                    continue;
                };
                for (object, predicate) in objects(document, sentence, triple, resolved, &thing) {
                    if object != subject {
                        all.push(Statement {
                            subject,
                            predicate,
                            object,
                            confidence: triple.confidence,
                            document,
                            sentence,
                        });
                    }
                }
            }
        }
    }
    all
}

/// The things that a triple's object speaks of: the first, and of the others those that are names or frequent.
fn objects(
    document: &Analysed,
    sentence: &Sentence,
    triple: &Triple,
    resolved: &Resolved,
    thing: &dyn Fn(u32) -> Option<u32>,
) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> = Vec::new();
    for (nth, &mention) in triple.object_mentions.iter().enumerate() {
        let Some(object) = thing(mention) else {
            continue;
        };
        let about = &resolved.things[object as usize];
        let first = nth == 0;
        if !(first || about.proper || about.n_mentions >= FREQUENT)
            || found.iter().any(|(o, _)| *o == object)
        {
            continue;
        }
        let span = &sentence.mentions[mention as usize].span;
        let between = document
            .text
            .body
            .get(triple.object.start as usize..span.start as usize)
            .unwrap_or_default();
        found.push((object, predicate(&triple.relation, between, first)));
    }
    found
}

/// The relation in at most five words, with the preposition that leads to a later part of its object.
fn predicate(relation: &str, between: &str, first: bool) -> String {
    let mut words: Vec<&str> = relation.split_whitespace().take(PREDICATE_WORDS).collect();
    if first {
        return words.join(" ");
    }
    let leads = between
        .split(|c: char| !c.is_alphanumeric())
        .rev()
        .find_map(|word| PREPOSITIONS.iter().find(|p| p.eq_ignore_ascii_case(word)));
    match leads {
        Some(leads) if words.last().is_none_or(|last| last != leads) => {
            words.truncate(PREDICATE_WORDS - 1);
            format!("{}{GAP}{leads}", words.join(" "))
        }
        _ => words.join(" "),
    }
}

fn relation(stated: &[&Statement]) -> Relation {
    let mut wordings: BTreeMap<&str, usize> = BTreeMap::new();
    for statement in stated {
        *wordings.entry(&statement.predicate).or_default() += 1;
    }
    let most = wordings.values().max().copied().unwrap_or_default();
    let predicate = wordings
        .iter()
        .find(|(_, count)| **count == most)
        .map_or("", |(wording, _)| wording);
    let sources = stated.iter().take(MOST_SOURCES).map(|statement| {
        let span = &statement.sentence.span;
        let text = &statement.document.text;
        Source {
            document: text.id.clone(),
            title: text.title.clone(),
            sentence: text.body[span.start as usize..span.end as usize].to_owned(),
            start: u64::from(span.start),
            end: u64::from(span.end),
        }
    });
    Relation {
        predicate: predicate.to_owned(),
        count: stated.len() as u32,
        confidence: stated.iter().map(|s| s.confidence).fold(0.0, f32::max),
        sources: sources.collect(),
    }
}

/// Fills in the community of every node.
fn number_communities(graph: &mut KnowledgeGraph) {
    let edges: Vec<(u32, u32, f32)> = graph
        .edge_indices()
        .filter_map(|edge| {
            let (from, to) = graph.edge_endpoints(edge)?;
            Some((
                from.index() as u32,
                to.index() as u32,
                graph[edge].count as f32,
            ))
        })
        .collect();
    let numbers = communities(graph.node_count(), &edges);
    for (node, number) in graph.node_weights_mut().zip(numbers) {
        node.community = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_are_short_and_lead_to_their_object() {
        assert_eq!(
            predicate("has been shown to be able to", "", true),
            "has been shown to be"
        );
        assert_eq!(
            predicate("evaluates", "the model on the ", false),
            "evaluates … on"
        );
        assert_eq!(predicate("is based on", "BERT and ", false), "is based on");
        assert_eq!(predicate("runs on", "machines on ", false), "runs on");
    }
}
