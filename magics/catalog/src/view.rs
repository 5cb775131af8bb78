//! What a result looks like, as data: no HTML, no MIME, just what there is to show.

use serde::Serialize;

/// One result, ready to be drawn by a frontend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum View {
    /// Nothing to show.
    Nothing,
    /// Plain text in a fixed-width font.
    Text(String),
    /// A remark of ours beside something else, as one paragraph; what stands between backticks is typed.
    Remark(String),
    /// Markdown written by us (never by a document).
    Markdown(String),
    /// Rows and columns.
    Table(Table),
    /// A knowledge graph, laid out.
    Graph(Box<GraphView>),
    /// Evidence that answers a question.
    Answer(Box<AnswerView>),
    /// Words sized by weight.
    Cloud(CloudView),
    /// What a search found.
    Hits(HitsView),
    /// What models said, side by side when there are several.
    Replies(Vec<ReplyView>),
    /// A chart, in the terms of plotly.
    Chart(serde_json::Value),
    /// Several views, one below the other.
    Stack(Vec<View>),
}

/// Anything that can be shown.
pub trait ToView {
    /// The view of this value.
    fn to_view(&self) -> View;
}

/// Rows and columns of text.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Table {
    /// What the table is about; empty for none.
    pub title: String,
    /// The columns, left to right.
    pub columns: Vec<Column>,
    /// Rows of as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
    /// A remark below the table, such as what was left out; empty for none.
    pub note: String,
}

/// One column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// Whether the cells are numbers, to be set flush right.
    pub numeric: bool,
    /// Characters of a long cell that are shown before it is opened; 0 for all of them.
    pub brief: usize,
}

/// A graph with its layout; coordinates are in any unit, x to the right and y downwards.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct GraphView {
    /// In which words it is spoken of.
    pub wording: Wording,
    /// What the graph is about.
    pub title: String,
    /// The nodes.
    pub nodes: Vec<NodeView>,
    /// The edges, by index into `nodes`.
    pub edges: Vec<EdgeView>,
    /// How many communities the whole graph has; 0 where its colours stand for something else.
    pub n_communities: u32,
    /// What is not in the picture, as one sentence; empty when nothing was left out.
    pub left_out: String,
}

/// In which words a graph is spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Wording {
    /// Of entities and relations, which documents mention and state.
    #[default]
    Knowledge,
    /// Of nodes and edges.
    Graph,
}

impl Wording {
    /// `n` nodes in words.
    pub fn nodes(self, n: usize) -> String {
        match self {
            Wording::Knowledge => count(n, "entity", "entities"),
            Wording::Graph => count(n, "node", "nodes"),
        }
    }

    /// `n` edges in words.
    pub fn edges(self, n: usize) -> String {
        match self {
            Wording::Knowledge => count(n, "relation", "relations"),
            Wording::Graph => count(n, "edge", "edges"),
        }
    }
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// An entity in a [`GraphView`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// Horizontal position.
    pub x: f32,
    /// Vertical position.
    pub y: f32,
    /// Number of edges in the whole graph.
    pub degree: u32,
    /// Number of mentions in all documents.
    pub mentions: u32,
    /// Community, numbered from 0 by size.
    pub community: u32,
}

/// A relation in a [`GraphView`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EdgeView {
    /// Index of the subject.
    pub from: u32,
    /// Index of the object.
    pub to: u32,
    /// The relation in words.
    pub predicate: String,
    /// How often it is stated.
    pub count: u32,
    /// Sentences that state it, with the titles of their documents.
    pub sources: Vec<SourceView>,
}

/// A sentence and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SourceView {
    /// Title of the document.
    pub title: String,
    /// The sentence.
    pub sentence: String,
}

/// What a model said.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ReplyView {
    /// Who said it; empty where that is plain.
    pub title: String,
    /// Its words, which are Markdown and nobody's but the model's.
    pub markdown: String,
    /// Tokens, time, cost, in one line.
    pub footer: String,
    /// What is wrong with it; empty for nothing.
    pub warning: String,
    /// What to type about that; empty when there is nothing to say.
    pub hint: String,
    /// What it may cite, by number.
    pub sources: Vec<EvidenceView>,
}

/// What was found for a question: guided by the graph and, for comparison, by plain word search.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AnswerView {
    /// The question.
    pub question: String,
    /// Entities that the question was linked to.
    pub linked: Vec<String>,
    /// Evidence guided by the graph, best first.
    pub guided: Vec<EvidenceView>,
    /// What plain word search (BM25) finds; empty unless a comparison was asked for.
    pub plain: Vec<EvidenceView>,
    /// Triples that led to the guided evidence.
    pub triples: Vec<TripleView>,
    /// Why the graph could not guide, empty when it did.
    pub remark: String,
}

/// A passage offered as evidence.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EvidenceView {
    /// Its number in square brackets, from 1.
    pub citation: usize,
    /// Title of the document.
    pub title: String,
    /// The file.
    pub source: String,
    /// Its best sentences in order of the text.
    pub sentences: Vec<MarkedText>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct HitsView {
    /// What was looked for.
    pub question: String,
    /// What was found, best first.
    pub hits: Vec<HitView>,
    /// How it was found, as one line.
    pub note: String,
}

/// Something that a search found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct HitView {
    /// Its place among the hits, from 1.
    pub rank: usize,
    /// Its title.
    pub title: String,
    /// The file or address; empty for none.
    pub source: String,
    /// Its places by words and by meaning.
    pub found: String,
    /// The sentence that matches.
    pub text: MarkedText,
    /// A small picture as a PNG file.
    pub picture: Option<Vec<u8>>,
}

/// A text with some stretches set apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MarkedText {
    /// The whole text.
    pub text: String,
    /// Byte ranges to mark, in order, without overlap.
    pub marked: Vec<std::ops::Range<usize>>,
}

/// Subject, relation, object and the number of the evidence that states them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TripleView {
    /// Subject.
    pub subject: String,
    /// Relation in words.
    pub relation: String,
    /// Object.
    pub object: String,
    /// Number of the evidence, or 0 when it is not among the evidence shown.
    pub citation: usize,
}

/// A word cloud, laid out on a plane of `width` × `height`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CloudView {
    /// What the cloud is about.
    pub title: String,
    /// Width of the plane.
    pub width: f32,
    /// Height of the plane.
    pub height: f32,
    /// The words, heaviest first.
    pub words: Vec<CloudWord>,
}

/// A word in a [`CloudView`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CloudWord {
    /// The word or phrase.
    pub text: String,
    /// Horizontal centre.
    pub x: f32,
    /// Vertical centre.
    pub y: f32,
    /// Font size in the unit of the plane.
    pub size: f32,
    /// Relative weight, 0 to 1.
    pub weight: f32,
}

impl Column {
    /// A column of words, flush left.
    pub fn text(name: &str) -> Column {
        Column {
            name: name.to_owned(),
            numeric: false,
            brief: 0,
        }
    }

    /// A column of numbers, flush right.
    pub fn number(name: &str) -> Column {
        Column {
            name: name.to_owned(),
            numeric: true,
            brief: 0,
        }
    }

    /// A column of long texts, of which the first `brief` characters are shown, and the rest to whoever wants it.
    pub fn long(name: &str, brief: usize) -> Column {
        Column {
            brief,
            ..Column::text(name)
        }
    }
}
