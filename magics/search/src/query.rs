//! What is asked of an index, and what it answers.

use std::ops::Range;
use std::time::Duration;

use crate::item::Item;
use crate::vectors::Recall;

/// What to search for; fill in what matters and leave the rest to [`Query::default`].
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Words, with any punctuation; what stands in double quotes is a phrase that must occur.
    pub text: String,
    /// A vector by the model that made those of the index; of any length but zero.
    pub vector: Option<Vec<f32>>,
    /// What counts.
    pub mode: Mode,
    /// Hits wanted.
    pub top: usize,
    /// Hits to leave out before the first.
    pub offset: usize,
    /// Which items count: `year >= 2020 and source ~ "arxiv"`. Empty for all.
    pub filter: String,
    /// Items that move up or down: 1 counts like the first place in one more list, −1 takes as much away.
    pub boost: Vec<(String, f32)>,
    /// Moves the vector towards and away from items.
    pub rocchio: Option<Rocchio>,
    /// Look at every vector, even if the index has a graph.
    pub exact: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            text: String::new(),
            vector: None,
            mode: Mode::Auto,
            top: 10,
            offset: 0,
            filter: String::new(),
            boost: Vec::new(),
            rocchio: None,
            exact: false,
        }
    }
}

/// What counts in a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Both if the query has both and the index has vectors, else the one there is.
    #[default]
    Auto,
    /// Words by BM25.
    Words,
    /// Vectors by cosine.
    Vectors,
    /// Both by reciprocal rank fusion (Cormack, Clarke & Büttcher 2009, k = 60).
    Hybrid,
}

/// A query vector that learns from marks (Rocchio 1971): q + β·mean(good) − γ·mean(bad).
#[derive(Debug, Clone, PartialEq)]
pub struct Rocchio {
    /// Ids of items like those that are wanted; ids without a vector are passed over.
    pub good: Vec<String>,
    /// Ids of items unlike those that are wanted.
    pub bad: Vec<String>,
    /// Weight of the good.
    pub beta: f32,
    /// Weight of the bad.
    pub gamma: f32,
}

impl Default for Rocchio {
    fn default() -> Self {
        Self {
            good: Vec::new(),
            bad: Vec::new(),
            beta: 0.75,
            gamma: 0.15,
        }
    }
}

/// What was found, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// Best first.
    pub hits: Vec<Hit>,
    /// What counted; never `Auto`.
    pub mode: Mode,
    /// Items in the index.
    pub n_items: usize,
    /// Items that the filter let through.
    pub n_searched: usize,
    /// What share of the nearest vectors is found this way; none if nothing was missed.
    pub recall: Option<Recall>,
    /// Time it took.
    pub elapsed: Duration,
    /// What the user should know, such as a mark for an item that is not there.
    pub notes: Vec<String>,
}

/// An item that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The item.
    pub item: Item,
    /// BM25, cosine or the sum of reciprocal ranks, by mode. Boosts change the order and not this number.
    pub score: f32,
    /// Place by words, if it was found by them.
    pub words: Option<Ranked>,
    /// Place by vectors, if it was found by them.
    pub vectors: Option<Ranked>,
    /// The sentence of the text that answers best by words; the first one if no word occurs.
    pub passage: Passage,
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// From 1.
    pub rank: usize,
    /// BM25 or cosine.
    pub score: f32,
}

/// A part of an item's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passage {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Bytes of the text, inside the span, where words of the query stand.
    pub marks: Vec<Range<usize>>,
}

impl Passage {
    /// The passage itself.
    pub fn text<'a>(&self, item: &'a Item) -> &'a str {
        item.text.get(self.span.clone()).unwrap_or_default()
    }
}
