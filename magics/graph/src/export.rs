//! Graphs for other programs: GraphML, tables as CSV or Parquet, RDF as N-Triples.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use mlk8s_values::KnowledgeGraph;
use petgraph::visit::EdgeRef;
use polars::df;
use polars::prelude::{CsvWriter, DataFrame, ParquetWriter, PolarsResult, SerWriter};

use crate::error::{GraphError, at};

/// Separates aliases in a cell of a table.
const BETWEEN_ALIASES: &str = "|";
const RDFS_LABEL: &str = "http://www.w3.org/2000/01/rdf-schema#label";
const SKOS_ALT_LABEL: &str = "http://www.w3.org/2004/02/skos/core#altLabel";

/// Writes `graph` as GraphML to the file `path`; `triples` are not part of that format.
pub fn graphml(
    graph: &KnowledgeGraph,
    _triples: &DataFrame,
    path: &Path,
) -> Result<(), GraphError> {
    write_file(path, |out| {
        writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(
            out,
            r#"<graphml xmlns="http://graphml.graphdrawing.org/xmlns">"#
        )?;
        for (id, of, name, sort) in [
            ("name", "node", "name", "string"),
            ("aliases", "node", "aliases", "string"),
            ("mentions", "node", "mentions", "int"),
            ("documents", "node", "documents", "int"),
            ("community", "node", "community", "int"),
            ("predicate", "edge", "predicate", "string"),
            ("count", "edge", "count", "int"),
            ("weight", "edge", "weight", "double"),
            ("confidence", "edge", "confidence", "double"),
            ("sentence", "edge", "sentence", "string"),
        ] {
            writeln!(
                out,
                r#"  <key id="{id}" for="{of}" attr.name="{name}" attr.type="{sort}"/>"#
            )?;
        }
        writeln!(out, r#"  <graph edgedefault="directed">"#)?;
        for node in graph.node_indices() {
            let entity = &graph[node];
            writeln!(out, r#"    <node id="n{}">"#, node.index())?;
            data(out, "name", &entity.name)?;
            data(out, "aliases", &entity.aliases.join(BETWEEN_ALIASES))?;
            data(out, "mentions", &entity.mentions.to_string())?;
            data(out, "documents", &entity.documents.to_string())?;
            data(out, "community", &entity.community.to_string())?;
            writeln!(out, "    </node>")?;
        }
        for edge in graph.edge_references() {
            let (from, to, relation) =
                (edge.source().index(), edge.target().index(), edge.weight());
            writeln!(
                out,
                r#"    <edge id="e{}" source="n{from}" target="n{to}">"#,
                edge.id().index()
            )?;
            data(out, "predicate", &relation.predicate)?;
            data(out, "count", &relation.count.to_string())?;
            data(out, "weight", &relation.count.to_string())?;
            data(out, "confidence", &relation.confidence.to_string())?;
            data(
                out,
                "sentence",
                relation
                    .sources
                    .first()
                    .map_or("", |source| &source.sentence),
            )?;
            writeln!(out, "    </edge>")?;
        }
        writeln!(out, "  </graph>\n</graphml>")
    })
}

/// Writes `entities.csv`, `relations.csv` and `triples.csv` into the folder `path`.
pub fn csv(graph: &KnowledgeGraph, triples: &DataFrame, path: &Path) -> Result<(), GraphError> {
    tables(graph, triples, path, "csv", |file, table| {
        CsvWriter::new(file).finish(table)
    })
}

/// Writes `entities.parquet`, `relations.parquet` and `triples.parquet` into the folder `path`.
pub fn parquet(graph: &KnowledgeGraph, triples: &DataFrame, path: &Path) -> Result<(), GraphError> {
    tables(graph, triples, path, "parquet", |file, table| {
        ParquetWriter::new(file).finish(table).map(|_| ())
    })
}

/// Writes `graph` as N-Triples to the file `path`: a statement for each relation, and the names of everything.
///
/// Entities are `urn:mlk8s:entity:…` and predicates `urn:mlk8s:relation:…`, with the name percent-encoded.
pub fn ntriples(
    graph: &KnowledgeGraph,
    _triples: &DataFrame,
    path: &Path,
) -> Result<(), GraphError> {
    write_file(path, |out| {
        for entity in graph.node_weights() {
            let iri = iri("entity", &entity.name);
            writeln!(out, "<{iri}> <{RDFS_LABEL}> {} .", literal(&entity.name))?;
            for alias in &entity.aliases {
                writeln!(out, "<{iri}> <{SKOS_ALT_LABEL}> {} .", literal(alias))?;
            }
        }
        let mut predicates: Vec<&str> = graph
            .edge_weights()
            .map(|relation| relation.predicate.as_str())
            .collect();
        predicates.sort_unstable();
        predicates.dedup();
        for predicate in predicates {
            writeln!(
                out,
                "<{}> <{RDFS_LABEL}> {} .",
                iri("relation", predicate),
                literal(predicate)
            )?;
        }
        for edge in graph.edge_references() {
            let subject = iri("entity", &graph[edge.source()].name);
            let predicate = iri("relation", &edge.weight().predicate);
            writeln!(
                out,
                "<{subject}> <{predicate}> <{}> .",
                iri("entity", &graph[edge.target()].name)
            )?;
        }
        Ok(())
    })
}

fn write_file(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), GraphError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    let mut out = BufWriter::new(File::create(path).map_err(at(path))?);
    content(&mut out)
        .and_then(|()| out.flush())
        .map_err(at(path))
}

fn tables(
    graph: &KnowledgeGraph,
    triples: &DataFrame,
    path: &Path,
    ending: &str,
    write: impl Fn(File, &mut DataFrame) -> PolarsResult<()>,
) -> Result<(), GraphError> {
    fs::create_dir_all(path).map_err(at(path))?;
    for (name, table) in [
        ("entities", entities(graph)),
        ("relations", relations(graph)),
        ("triples", Ok(triples.clone())),
    ] {
        let path = path.join(format!("{name}.{ending}"));
        let wrong = |source| GraphError::Table {
            path: path.clone(),
            source,
        };
        let file = File::create(&path).map_err(at(&path))?;
        write(file, &mut table.map_err(wrong)?).map_err(wrong)?;
    }
    Ok(())
}

fn entities(graph: &KnowledgeGraph) -> PolarsResult<DataFrame> {
    let all = || graph.node_weights();
    df!(
        "id" => (0..graph.node_count() as u32).collect::<Vec<_>>(),
        "name" => all().map(|e| e.name.as_str()).collect::<Vec<_>>(),
        "aliases" => all().map(|e| e.aliases.join(BETWEEN_ALIASES)).collect::<Vec<_>>(),
        "mentions" => all().map(|e| e.mentions).collect::<Vec<_>>(),
        "documents" => all().map(|e| e.documents).collect::<Vec<_>>(),
        "community" => all().map(|e| e.community).collect::<Vec<_>>(),
    )
}

fn relations(graph: &KnowledgeGraph) -> PolarsResult<DataFrame> {
    let all = || graph.edge_references();
    df!(
        "subject" => all().map(|e| e.source().index() as u32).collect::<Vec<_>>(),
        "object" => all().map(|e| e.target().index() as u32).collect::<Vec<_>>(),
        "subject_name" => all().map(|e| graph[e.source()].name.as_str()).collect::<Vec<_>>(),
        "predicate" => all().map(|e| e.weight().predicate.as_str()).collect::<Vec<_>>(),
        "object_name" => all().map(|e| graph[e.target()].name.as_str()).collect::<Vec<_>>(),
        "count" => all().map(|e| e.weight().count).collect::<Vec<_>>(),
        "confidence" => all().map(|e| e.weight().confidence).collect::<Vec<_>>(),
        "sentence" => all()
            .map(|e| e.weight().sources.first().map_or("", |source| source.sentence.as_str()))
            .collect::<Vec<_>>(),
    )
}

fn data(out: &mut dyn Write, key: &str, value: &str) -> std::io::Result<()> {
    writeln!(out, r#"      <data key="{key}">{}</data>"#, xml(value))
}

/// Text as it may stand in XML; characters that XML has no way to write become spaces.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// An IRI for a name: letters and digits of ASCII stay, every other byte is percent-encoded (RFC 3986).
fn iri(sort: &str, name: &str) -> String {
    let mut iri = format!("urn:mlk8s:{sort}:");
    for &byte in name.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            iri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(iri, "%{byte:02X}");
        }
    }
    iri
}

/// A literal of N-Triples (W3C Recommendation, section 2.4).
fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use mlk8s_values::{Entity, Relation, Source};
    use polars::prelude::{CsvReader, ParquetReader, SerReader};

    fn sample() -> (KnowledgeGraph, DataFrame) {
        let entity = |name: &str, alias: &str| Entity {
            name: name.to_owned(),
            aliases: vec![alias.to_owned()],
            mentions: 2,
            documents: 1,
            community: 0,
        };
        let mut graph = KnowledgeGraph::new();
        let a = graph.add_node(entity("R&D \"lab\"", "<lab>"));
        let b = graph.add_node(entity("é\u{1}t\\é", "summer, hot"));
        let relation = Relation {
            predicate: "works in".to_owned(),
            count: 3,
            confidence: 0.5,
            sources: vec![Source {
                document: "d".to_owned(),
                title: "t".to_owned(),
                sentence: "R&D works\nin été, \"mostly\".".to_owned(),
                start: 0,
                end: 9,
            }],
        };
        graph.add_edge(a, b, relation);
        (
            graph,
            df!("subject" => ["a,b"], "object" => ["c\n\"d\""]).unwrap(),
        )
    }

    #[test]
    fn graphml_is_well_formed_whatever_the_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/g.graphml");
        let (graph, triples) = sample();
        graphml(&graph, &triples, &path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let nodes: String = text
            .lines()
            .filter(|line| line.contains(r#"key="name">"#))
            .collect();
        expect![[r#"      <data key="name">R&amp;D &quot;lab&quot;</data>      <data key="name">é t\é</data>"#]].assert_eq(&nodes);
        assert_eq!(text.matches("<node ").count(), 2);
        assert_eq!(text.matches("<edge ").count(), 1);
        assert!(text.ends_with("</graphml>\n"));
    }

    #[test]
    fn ntriples_are_escaped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g.nt");
        let (graph, triples) = sample();
        ntriples(&graph, &triples, &path).unwrap();
        expect![[r#"
            <urn:mlk8s:entity:R%26D%20%22lab%22> <http://www.w3.org/2000/01/rdf-schema#label> "R&D \"lab\"" .
            <urn:mlk8s:entity:R%26D%20%22lab%22> <http://www.w3.org/2004/02/skos/core#altLabel> "<lab>" .
            <urn:mlk8s:entity:%C3%A9%01t%5C%C3%A9> <http://www.w3.org/2000/01/rdf-schema#label> "é\u0001t\\é" .
            <urn:mlk8s:entity:%C3%A9%01t%5C%C3%A9> <http://www.w3.org/2004/02/skos/core#altLabel> "summer, hot" .
            <urn:mlk8s:relation:works%20in> <http://www.w3.org/2000/01/rdf-schema#label> "works in" .
            <urn:mlk8s:entity:R%26D%20%22lab%22> <urn:mlk8s:relation:works%20in> <urn:mlk8s:entity:%C3%A9%01t%5C%C3%A9> .
        "#]]
        .assert_eq(&fs::read_to_string(&path).unwrap());
    }

    #[test]
    fn tables_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let (graph, triples) = sample();
        csv(&graph, &triples, dir.path()).unwrap();
        parquet(&graph, &triples, dir.path()).unwrap();
        let open = |name: &str| File::open(dir.path().join(name)).unwrap();
        for (name, wanted) in [
            ("entities", entities(&graph).unwrap()),
            ("relations", relations(&graph).unwrap()),
            ("triples", triples),
        ] {
            let read = ParquetReader::new(open(&format!("{name}.parquet")))
                .finish()
                .unwrap();
            assert!(read.equals(&wanted), "{read}");
            let read = CsvReader::new(open(&format!("{name}.csv")))
                .finish()
                .unwrap();
            assert_eq!(read.shape(), wanted.shape(), "{name}");
        }
    }
}
