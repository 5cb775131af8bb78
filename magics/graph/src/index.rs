//! A loaded store: the graph, the triples as a table, and what answers questions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use mlk8s_values::KnowledgeGraph;
use petgraph::visit::EdgeRef;
use polars::df;
use polars::prelude::DataFrame;
use sha2::{Digest, Sha256};

use crate::entity::{Merge, Resolved, add_mentions, resolve};
use crate::extract::{Analysed, Span};
use crate::knowledge;
use crate::retrieve::{Answer, AskOptions, Near, PassageText, Retriever};

/// The graph of a set of documents, and what is needed to answer questions from it.
#[derive(Debug)]
pub struct Index {
    /// Sorted by id.
    documents: Vec<Analysed>,
    resolved: Resolved,
    graph: KnowledgeGraph,
    /// Made at the first question.
    retriever: OnceLock<Retriever>,
}

/// How large a graph is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Documents.
    pub documents: usize,
    /// Sentences.
    pub sentences: usize,
    /// Mentions of noun phrases.
    pub mentions: usize,
    /// Triples as they were extracted.
    pub triples: usize,
    /// Nodes.
    pub entities: usize,
    /// Edges.
    pub relations: usize,
    /// Communities of at least two entities.
    pub communities: usize,
    /// Connected components of at least two entities.
    pub components: usize,
    /// Names that were taken for another name because of an acronym or of spaces.
    pub merged: usize,
}

impl Index {
    /// Builds the index of documents that are sorted by id; names in `unmerged` are not taken for others.
    pub(crate) fn new(mut documents: Vec<Analysed>, unmerged: &BTreeSet<String>) -> Index {
        add_mentions(&mut documents);
        let resolved = resolve(&documents, unmerged);
        let graph = knowledge::graph(&documents, &resolved);
        Index {
            documents,
            resolved,
            graph,
            retriever: OnceLock::new(),
        }
    }

    /// The graph; node numbers go by the entities' normal forms.
    pub fn graph(&self) -> &KnowledgeGraph {
        &self.graph
    }

    /// Answers a question with evidence; `near` are passages whose meaning is near the question's, where that is known.
    pub fn ask(&self, question: &str, options: &AskOptions, near: &[Near]) -> Answer {
        self.retriever()
            .ask(&self.documents, &self.resolved, question, options, near)
    }

    /// The passages that evidence is made of, in order of documents and text.
    pub fn passages(&self) -> impl ExactSizeIterator<Item = PassageText<'_>> {
        self.retriever().passages(&self.documents)
    }

    /// The identifiers of the documents with the best passages for a question, best first, and what plain word search
    /// ranks; each document once. `near` is as in [`Index::ask`].
    pub fn rank(&self, question: &str, near: &[Near]) -> (Vec<&str>, Vec<&str>) {
        let retriever = self.retriever();
        let ids = |passages: Vec<(u32, f32)>| {
            let mut seen = BTreeSet::new();
            let documents = passages
                .into_iter()
                .map(|(passage, _)| retriever.document(passage));
            let firsts = documents.filter(|&document| seen.insert(document));
            firsts
                .map(|document| self.documents[document].text.id.as_str())
                .collect()
        };
        let (guided, plain) = retriever.rank(&self.documents, &self.resolved, question, near);
        (ids(guided), ids(plain))
    }

    fn retriever(&self) -> &Retriever {
        self.retriever
            .get_or_init(|| Retriever::new(&self.documents, &self.resolved))
    }

    /// The triples as they were extracted, with the entities that they were taken for; `null` where there is none.
    pub fn triples(&self) -> DataFrame {
        let mut rows = Columns::default();
        for (d, document) in self.documents.iter().enumerate() {
            for (s, sentence) in document.sentences.iter().enumerate() {
                let entity = |mention: u32| {
                    let thing = self.resolved.thing(d, s, mention as usize)?;
                    Some(self.resolved.things[thing as usize].name.as_str())
                };
                for triple in &sentence.triples {
                    rows.push(
                        document,
                        &triple.subject,
                        &triple.relation,
                        &triple.object,
                        &sentence.span,
                    );
                    rows.subject_entity
                        .push(triple.subject_mention.and_then(entity));
                    rows.object_entity.push(
                        triple
                            .object_mentions
                            .iter()
                            .find_map(|&mention| entity(mention)),
                    );
                    rows.confidence.push(triple.confidence);
                    let engine = if triple.by_model { "model" } else { "clauses" };
                    rows.engine.push(engine);
                }
            }
        }
        // Columns of equal height under different names always make a table.
        rows.table().unwrap_or_default()
    }

    /// Names that were taken for others, with the reason: `name`, `into`, `reason`, `documents`.
    pub fn merges(&self) -> DataFrame {
        let merges = || self.resolved.merges.iter();
        // Where the acronym itself is the most frequent name, its meaning says more than its name.
        let name_of = |merge: &Merge| {
            let name = self
                .resolved
                .find(&merge.into)
                .map(|thing| &self.resolved.things[thing as usize].name);
            name.filter(|name| **name != merge.name)
                .unwrap_or(&merge.into)
                .clone()
        };
        df!(
            "name" => merges().map(|m| m.name.as_str()).collect::<Vec<_>>(),
            "into" => merges().map(name_of).collect::<Vec<_>>(),
            "reason" => merges().map(|m| m.reason).collect::<Vec<_>>(),
            "documents" => merges().map(|m| m.n_documents).collect::<Vec<_>>(),
        )
        .unwrap_or_default()
    }

    /// How large everything is.
    pub fn stats(&self) -> Stats {
        let mut communities: BTreeMap<u32, usize> = BTreeMap::new();
        for entity in self.graph.node_weights() {
            *communities.entry(entity.community).or_default() += 1;
        }
        Stats {
            documents: self.documents.len(),
            sentences: self.documents.iter().map(|d| d.sentences.len()).sum(),
            mentions: self.documents.iter().map(Analysed::n_mentions).sum(),
            triples: self.documents.iter().map(Analysed::n_triples).sum(),
            entities: self.graph.node_count(),
            relations: self.graph.edge_count(),
            communities: communities.values().filter(|size| **size > 1).count(),
            components: components(&self.graph),
            merged: self
                .resolved
                .merges
                .iter()
                .map(|merge| &merge.name)
                .collect::<BTreeSet<_>>()
                .len(),
        }
    }

    /// SHA-256 over documents, triples, entities and relations: equal exactly when two indices are.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        for document in &self.documents {
            let text = &document.text;
            for part in [&text.id, &text.title, &text.source, &text.kind, &text.body] {
                add(part);
            }
            for sentence in &document.sentences {
                add(&format!("{sentence:?}"));
            }
        }
        for thing in &self.resolved.things {
            add(&format!("{thing:?}"));
        }
        for merge in &self.resolved.merges {
            add(&format!("{merge:?}"));
        }
        for entity in self.graph.node_weights() {
            add(&format!("{entity:?}"));
        }
        for edge in self.graph.edge_references() {
            add(&format!(
                "{} {} {:?}",
                edge.source().index(),
                edge.target().index(),
                edge.weight()
            ));
        }
        hex::encode(hash.finalize())
    }
}

/// Columns of the table of triples while it is made.
#[derive(Default)]
struct Columns<'a> {
    document: Vec<&'a str>,
    title: Vec<&'a str>,
    subject: Vec<&'a str>,
    relation: Vec<&'a str>,
    object: Vec<&'a str>,
    subject_entity: Vec<Option<&'a str>>,
    object_entity: Vec<Option<&'a str>>,
    confidence: Vec<f32>,
    engine: Vec<&'a str>,
    sentence: Vec<&'a str>,
    start: Vec<u64>,
    end: Vec<u64>,
}

impl<'a> Columns<'a> {
    fn push(
        &mut self,
        document: &'a Analysed,
        subject: &Span,
        relation: &'a str,
        object: &Span,
        sentence: &Span,
    ) {
        let text = |span: &Span| &document.text.body[span.start as usize..span.end as usize];
        self.document.push(&document.text.id);
        self.title.push(&document.text.title);
        self.subject.push(text(subject));
        self.relation.push(relation);
        self.object.push(text(object));
        self.sentence.push(text(sentence));
        self.start.push(u64::from(sentence.start));
        self.end.push(u64::from(sentence.end));
    }

    fn table(self) -> polars::prelude::PolarsResult<DataFrame> {
        df!(
            "document" => self.document,
            "title" => self.title,
            "subject" => self.subject,
            "relation" => self.relation,
            "object" => self.object,
            "subject_entity" => self.subject_entity,
            "object_entity" => self.object_entity,
            "confidence" => self.confidence,
            "engine" => self.engine,
            "sentence" => self.sentence,
            "start" => self.start,
            "end" => self.end,
        )
    }
}

/// Connected components of at least two nodes.
fn components(graph: &KnowledgeGraph) -> usize {
    let lonely = graph
        .node_indices()
        .filter(|&node| graph.neighbors_undirected(node).next().is_none())
        .count();
    petgraph::algo::connected_components(graph) - lonely
}

#[cfg(test)]
mod tests;
