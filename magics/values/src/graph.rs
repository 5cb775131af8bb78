//! The knowledge graph as a petgraph, and its three Arrow tables on disk.

use std::path::Path;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use polars::df;
use polars::prelude::{DataFrame, PolarsResult};
use serde::{Deserialize, Serialize};

use crate::ValueError;
use crate::frame::{file_error, format_error, read_frame, write_frame};

/// A thing the documents speak of: one node of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The most frequent way it is written.
    pub name: String,
    /// The other ways, most frequent first.
    pub aliases: Vec<String>,
    /// How often it is mentioned in all documents.
    pub mentions: u32,
    /// How many documents mention it.
    pub documents: u32,
    /// Its community, numbered from 0 by size, largest first.
    pub community: u32,
}

/// A sentence that states a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Identifier of the document.
    pub document: String,
    /// Title of the document.
    pub title: String,
    /// The sentence.
    pub sentence: String,
    /// Where the sentence begins in the document's text, in bytes.
    pub start: u64,
    /// Where it ends, in bytes, exclusive.
    pub end: u64,
}

/// What one entity is stated to have to do with another: one edge of the graph, from subject to object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The relation in the words of the documents.
    pub predicate: String,
    /// How often it is stated.
    pub count: u32,
    /// Confidence of the surest statement, 0 to 1.
    pub confidence: f32,
    /// Where it is stated: the first few places; `count` says how many there are.
    pub sources: Vec<Source>,
}

/// Entities joined by relations; one edge for each subject, predicate and object.
pub type KnowledgeGraph = DiGraph<Entity, Relation>;

const ENTITIES: &str = "entities.arrow";
const RELATIONS: &str = "relations.arrow";
const SOURCES: &str = "sources.arrow";
/// Separates aliases inside one cell; a name never holds a line break.
const BETWEEN_ALIASES: &str = "\n";

/// Writes `graph` into the directory `path` as three Arrow tables.
pub fn write_graph(path: &Path, graph: &KnowledgeGraph) -> Result<(), ValueError> {
    std::fs::create_dir_all(path).map_err(|source| file_error(path, source))?;
    let wrong = |source| format_error(path, source);
    let mut sources = source_table(graph).map_err(wrong)?;
    let mut entities = entity_table(graph).map_err(wrong)?;
    let mut relations = relation_table(graph).map_err(wrong)?;
    write_frame(&path.join(SOURCES), &mut sources)?;
    write_frame(&path.join(ENTITIES), &mut entities)?;
    write_frame(&path.join(RELATIONS), &mut relations)
}

/// Reads the graph that [`write_graph`] wrote into the directory `path`.
pub fn read_graph(path: &Path) -> Result<KnowledgeGraph, ValueError> {
    let wrong = |source| format_error(path, source);
    let mut graph = KnowledgeGraph::new();
    let entities = read_frame(&path.join(ENTITIES))?;
    add_entities(&mut graph, &entities).map_err(wrong)?;
    let relations = read_frame(&path.join(RELATIONS))?;
    let n_nodes = graph.node_count();
    if let Some(row) = add_relations(&mut graph, &relations, n_nodes).map_err(wrong)? {
        return Err(ValueError::Dangling {
            path: path.to_owned(),
            row,
        });
    }
    add_sources(&mut graph, &read_frame(&path.join(SOURCES))?).map_err(wrong)?;
    Ok(graph)
}

fn entity_table(graph: &KnowledgeGraph) -> PolarsResult<DataFrame> {
    let entities = || graph.node_weights();
    df!(
        "name" => entities().map(|e| e.name.as_str()).collect::<Vec<_>>(),
        "aliases" => entities().map(|e| e.aliases.join(BETWEEN_ALIASES)).collect::<Vec<_>>(),
        "mentions" => entities().map(|e| e.mentions).collect::<Vec<_>>(),
        "documents" => entities().map(|e| e.documents).collect::<Vec<_>>(),
        "community" => entities().map(|e| e.community).collect::<Vec<_>>(),
    )
}

fn relation_table(graph: &KnowledgeGraph) -> PolarsResult<DataFrame> {
    let edges = || graph.edge_references();
    df!(
        "subject" => edges().map(|e| e.source().index() as u32).collect::<Vec<_>>(),
        "predicate" => edges().map(|e| e.weight().predicate.as_str()).collect::<Vec<_>>(),
        "object" => edges().map(|e| e.target().index() as u32).collect::<Vec<_>>(),
        "count" => edges().map(|e| e.weight().count).collect::<Vec<_>>(),
        "confidence" => edges().map(|e| e.weight().confidence).collect::<Vec<_>>(),
    )
}

fn source_table(graph: &KnowledgeGraph) -> PolarsResult<DataFrame> {
    let (mut relation, mut rows) = (Vec::new(), Vec::new());
    for (row, edge) in graph.edge_weights().enumerate() {
        for source in &edge.sources {
            relation.push(row as u32);
            rows.push(source);
        }
    }
    df!(
        "relation" => relation,
        "document" => rows.iter().map(|s| s.document.as_str()).collect::<Vec<_>>(),
        "title" => rows.iter().map(|s| s.title.as_str()).collect::<Vec<_>>(),
        "sentence" => rows.iter().map(|s| s.sentence.as_str()).collect::<Vec<_>>(),
        "start" => rows.iter().map(|s| s.start).collect::<Vec<_>>(),
        "end" => rows.iter().map(|s| s.end).collect::<Vec<_>>(),
    )
}

fn add_entities(graph: &mut KnowledgeGraph, table: &DataFrame) -> PolarsResult<()> {
    let name = table.column("name")?.str()?;
    let aliases = table.column("aliases")?.str()?;
    let mentions = table.column("mentions")?.u32()?;
    let documents = table.column("documents")?.u32()?;
    let community = table.column("community")?.u32()?;
    for row in 0..table.height() {
        graph.add_node(Entity {
            name: name.get(row).unwrap_or_default().to_owned(),
            aliases: aliases
                .get(row)
                .filter(|all| !all.is_empty())
                .map(|all| all.split(BETWEEN_ALIASES).map(str::to_owned).collect())
                .unwrap_or_default(),
            mentions: mentions.get(row).unwrap_or_default(),
            documents: documents.get(row).unwrap_or_default(),
            community: community.get(row).unwrap_or_default(),
        });
    }
    Ok(())
}

/// Adds the edges; the row of the first one that points nowhere is handed back.
fn add_relations(
    graph: &mut KnowledgeGraph,
    table: &DataFrame,
    n_nodes: usize,
) -> PolarsResult<Option<usize>> {
    let subject = table.column("subject")?.u32()?;
    let predicate = table.column("predicate")?.str()?;
    let object = table.column("object")?.u32()?;
    let count = table.column("count")?.u32()?;
    let confidence = table.column("confidence")?.f32()?;
    for row in 0..table.height() {
        let ends = [subject.get(row), object.get(row)].map(|end| end.unwrap_or(u32::MAX) as usize);
        if ends.iter().any(|&end| end >= n_nodes) {
            return Ok(Some(row));
        }
        let relation = Relation {
            predicate: predicate.get(row).unwrap_or_default().to_owned(),
            count: count.get(row).unwrap_or_default(),
            confidence: confidence.get(row).unwrap_or_default(),
            sources: Vec::new(),
        };
        graph.add_edge(NodeIndex::new(ends[0]), NodeIndex::new(ends[1]), relation);
    }
    Ok(None)
}

fn add_sources(graph: &mut KnowledgeGraph, table: &DataFrame) -> PolarsResult<()> {
    let relation = table.column("relation")?.u32()?;
    let document = table.column("document")?.str()?;
    let title = table.column("title")?.str()?;
    let sentence = table.column("sentence")?.str()?;
    let start = table.column("start")?.u64()?;
    let end = table.column("end")?.u64()?;
    for row in 0..table.height() {
        let index = petgraph::graph::EdgeIndex::new(relation.get(row).unwrap_or(u32::MAX) as usize);
        if let Some(edge) = graph.edge_weight_mut(index) {
            edge.sources.push(Source {
                document: document.get(row).unwrap_or_default().to_owned(),
                title: title.get(row).unwrap_or_default().to_owned(),
                sentence: sentence.get(row).unwrap_or_default().to_owned(),
                start: start.get(row).unwrap_or_default(),
                end: end.get(row).unwrap_or_default(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(name: &str, aliases: &[&str]) -> Entity {
        Entity {
            name: name.to_owned(),
            aliases: aliases.iter().map(|&a| a.to_owned()).collect(),
            mentions: 3,
            documents: 2,
            community: 1,
        }
    }

    #[test]
    fn a_graph_comes_back_as_it_was() {
        let mut graph = KnowledgeGraph::new();
        let a = graph.add_node(entity("question answering", &["QA", "Question Answering"]));
        let b = graph.add_node(entity("SQuAD", &[]));
        let relation = Relation {
            predicate: "is measured by".to_owned(),
            count: 4,
            confidence: 0.75,
            sources: vec![Source {
                document: "d1".to_owned(),
                title: "T <b>".to_owned(),
                sentence: "QA is measured by SQuAD.".to_owned(),
                start: 7,
                end: 31,
            }],
        };
        graph.add_edge(a, b, relation);
        let path = std::env::temp_dir().join(format!("mlk8s-graph-{}", std::process::id()));
        write_graph(&path, &graph).unwrap();
        let again = read_graph(&path).unwrap();
        assert_eq!(graph[a], again[a]);
        assert_eq!(graph[b], again[b]);
        assert_eq!(
            graph.edge_weights().collect::<Vec<_>>(),
            again.edge_weights().collect::<Vec<_>>()
        );
        std::fs::remove_dir_all(&path).unwrap();
    }
}
