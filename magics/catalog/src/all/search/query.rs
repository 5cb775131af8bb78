//! `%search query`: what an index has to say to some words.

use std::path::Path;

use clap::{Args, ValueEnum};
use mlk8s_llm::row::Class;
use mlk8s_search::{
    Hit, Mode, Passage, Query as Wanted, Results, Rocchio, best_sentence, sentences_of,
};
use polars::df;

use super::{current, feedback};
use crate::call::Call;
use crate::encoders::Embedder;
use crate::error::{ErrorKind, MagicError};
use crate::names::ValueName;
use crate::session::{Import, ImportKind, Value};
use crate::view::{HitView, HitsView, MarkedText, View};

/// Pixels of a small picture.
const THUMBNAIL: u32 = 160;

/// Search an index
#[derive(Debug, Args)]
pub(super) struct Query {
    /// What is looked for, in one's own words; "words in quotation marks" must stand together
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<String>,
    /// Name of the index; else the one used last
    #[arg(long = "in", value_name = "NAME")]
    index: Option<String>,
    /// By what hits are found
    #[arg(long, default_value = "auto")]
    mode: How,
    /// Hits that are shown
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Which items count, such as: year >= 2020 and source ~ "arxiv"; case does not matter in texts
    #[arg(long = "where", value_name = "FILTER", default_value = "")]
    filter: String,
    /// Look at every vector, also where a graph is quicker and may miss some
    #[arg(long)]
    exact: bool,
    /// Do not let marks of earlier hits count
    #[arg(long)]
    without_marks: bool,
    /// Name of the hits, as a frame in Rust cells
    #[arg(long = "as", value_name = "NAME", default_value = "hits")]
    name: ValueName,
}

/// By what hits are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// By words and meaning where there are vectors, else by words
    Auto,
    /// By words (BM25)
    Words,
    /// By meaning
    Vectors,
    /// By both (reciprocal rank fusion)
    Hybrid,
}

impl Query {
    pub(super) fn run(self, call: &mut Call) -> Result<View, MagicError> {
        let name = self.index_name(call)?;
        let index = current(&name, call.session)?;
        let text = self.text();
        let marks = if self.without_marks {
            feedback::Marks::default()
        } else {
            feedback::marks(&name, &text, call)?
        };
        let model = index.settings().model.clone();
        let by_words = model.is_empty() || self.mode == How::Words;
        let embedder = if by_words {
            None
        } else {
            let run = format!("search {name}");
            Some(Embedder::find(
                Some(&model),
                &run,
                Class::Interactive,
                call,
            )?)
        };
        let vector = match &embedder {
            Some(embedder) => Some(embedder.encode(&[without_quotes(&text)], call)?.values),
            None => None,
        };
        let results = index.search(&Wanted {
            text: text.clone(),
            vector: vector.clone(),
            mode: match self.mode {
                How::Auto => Mode::Auto,
                How::Words => Mode::Words,
                How::Vectors => Mode::Vectors,
                How::Hybrid => Mode::Hybrid,
            },
            top: usize::from(self.top),
            filter: self.filter.clone(),
            exact: self.exact,
            boost: marks.boost(),
            rocchio: marks.rocchio(vector.is_some()),
            ..Wanted::default()
        })?;
        let mut passages: Vec<Passage> =
            results.hits.iter().map(|hit| hit.passage.clone()).collect();
        if let (Some(embedder), Some(vector)) = (&embedder, &vector) {
            nearest(&results.hits, &mut passages, vector, embedder, call)?;
        }
        let here = call.session.resolve("".as_ref());
        let hits = results.hits.iter().zip(&passages).enumerate();
        let hits = hits
            .map(|(at, (hit, passage))| shown(at + 1, hit, passage, &here))
            .collect();
        self.publish(&results, call)?;
        call.session.searched.opened = Some(index);
        call.session.searched.query.clone_from(&text);
        call.session.searched.hits = results.hits.iter().map(|hit| hit.item.id.clone()).collect();
        call.session.searched.index = Some(name.clone());
        Ok(View::Hits(HitsView {
            question: text,
            note: note(&results, &name, !marks.is_empty(), embedder.as_ref()),
            hits,
        }))
    }

    /// What is looked for; the command line has taken the quotation marks from around words that must stand together.
    fn text(&self) -> String {
        let quoted = |word: &String| {
            let is_phrase = word.contains(char::is_whitespace) && !word.contains('"');
            if is_phrase {
                format!("\"{word}\"")
            } else {
                word.clone()
            }
        };
        self.words.iter().map(quoted).collect::<Vec<_>>().join(" ")
    }

    fn index_name(&self, call: &Call) -> Result<String, MagicError> {
        if let Some(name) = self
            .index
            .clone()
            .or_else(|| call.session.searched.index.clone())
        {
            return Ok(name);
        }
        match call.session.indexes().as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(MagicError::new(ErrorKind::NotFound, "there is no index")
                .with_hint("`%search build docs --as index` makes one")),
            several => {
                let known: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
                Err(MagicError::new(
                    ErrorKind::Usage,
                    "there are several indexes, and none was named",
                )
                .with_hint(format!("`--in` names one of {}", known.join(", "))))
            }
        }
    }

    /// Gives the hits to Rust cells.
    fn publish(&self, results: &Results, call: &mut Call) -> Result<(), MagicError> {
        let hits = &results.hits;
        let words = |take: fn(&Hit) -> &str| hits.iter().map(take).collect::<Vec<_>>();
        let rank = |take: fn(&Hit) -> Option<&mlk8s_search::Ranked>| {
            hits.iter()
                .map(|hit| take(hit).map(|ranked| ranked.rank as u32))
                .collect::<Vec<_>>()
        };
        let mut frame = df!(
            "rank" => (1..=hits.len() as u32).collect::<Vec<_>>(),
            "id" => words(|hit| &hit.item.id),
            "title" => words(|hit| &hit.item.title),
            "source" => words(|hit| &hit.item.source),
            "score" => hits.iter().map(|hit| hit.score).collect::<Vec<_>>(),
            "rank_by_words" => rank(|hit| hit.words.as_ref()),
            "rank_by_vectors" => rank(|hit| hit.vectors.as_ref()),
            "passage" => hits.iter().map(|hit| hit.passage.text(&hit.item)).collect::<Vec<_>>(),
            "text" => words(|hit| &hit.item.text),
        )?;
        let path = call.session.crossing(self.name.as_str(), ImportKind::Frame);
        mlk8s_values::write_frame(&path, &mut frame)?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Frame,
            path: path.clone(),
        };
        call.session
            .put(self.name.as_str(), Value::Frame(path), vec![import]);
        Ok(())
    }
}

/// Puts the sentence that is most like the question in the place of a passage that has none of its words. The sentences of
/// all hits become vectors together.
fn nearest(
    hits: &[Hit],
    passages: &mut [Passage],
    vector: &[f32],
    embedder: &Embedder,
    call: &mut Call,
) -> Result<(), MagicError> {
    let found = hits.iter().zip(passages);
    let without: Vec<(&Hit, &mut Passage)> = found
        .filter(|(hit, passage)| passage.marks.is_empty() && hit.item.thumbnail.is_none())
        .collect();
    let sentences: Vec<&str> = without
        .iter()
        .flat_map(|(hit, _)| sentences_of(&hit.item))
        .collect();
    // Behind an endpoint each of them would be paid for.
    if sentences.is_empty() || !embedder.is_here() {
        return Ok(());
    }
    let made = embedder.encode(&sentences, call)?;
    let mut rest = made.values.as_slice();
    for (hit, passage) in without {
        let n_values = sentences_of(&hit.item).len() * made.dims;
        let (values, after) = rest.split_at(n_values);
        rest = after;
        if let Some(best) = best_sentence(&hit.item, vector, values)? {
            *passage = best;
        }
    }
    Ok(())
}

/// A hit as it is shown: with the sentence that matches, and its words marked; a file is named as it is seen from `here`.
fn shown(rank: usize, hit: &Hit, passage: &Passage, here: &Path) -> HitView {
    let begin = passage.span.start;
    let ranks = [("words", &hit.words), ("meaning", &hit.vectors)];
    let found: Vec<String> = ranks
        .into_iter()
        .filter_map(|(by, ranked)| {
            ranked
                .as_ref()
                .map(|ranked| format!("{by} {}", ranked.rank))
        })
        .collect();
    let thumbnail = hit.item.thumbnail.as_deref();
    HitView {
        rank,
        title: hit.item.title.clone(),
        source: Path::new(&hit.item.source).strip_prefix(here).map_or_else(
            |_| hit.item.source.clone(),
            |path| path.display().to_string(),
        ),
        found: found.join(" · "),
        text: MarkedText {
            text: passage.text(&hit.item).to_owned(),
            marked: passage
                .marks
                .iter()
                .map(|mark| mark.start - begin..mark.end - begin)
                .collect(),
        },
        picture: thumbnail.and_then(|path| mlk8s_engine::thumbnail(path.as_ref(), THUMBNAIL).ok()),
    }
}

/// How the hits were found.
fn note(results: &Results, index: &str, marked: bool, embedder: Option<&Embedder>) -> String {
    let how = match results.mode {
        Mode::Words => "by words",
        Mode::Vectors => "by meaning",
        Mode::Hybrid | Mode::Auto => "by words and meaning",
    };
    let mut parts = vec![format!(
        "{} of {} items of `{index}` searched {how} in {:.0} ms",
        results.n_searched,
        results.n_items,
        results.elapsed.as_secs_f64() * 1e3
    )];
    if marked {
        parts.push("earlier marks count".to_owned());
    }
    if let Some(recall) = results.recall {
        parts.push(format!(
            "approximate, {recall}; `--exact` looks at all of them"
        ));
    }
    parts.extend(results.notes.iter().cloned());
    parts.extend(embedder.and_then(Embedder::remark).map(str::to_owned));
    if !results.hits.is_empty() {
        parts.push("`%search feedback good 1` marks a hit".to_owned());
    }
    parts.join("; ")
}

fn without_quotes(text: &str) -> String {
    text.replace('"', " ")
}

impl feedback::Marks {
    fn boost(&self) -> Vec<(String, f32)> {
        let good = self.good.iter().map(|id| (id.clone(), 1.0));
        good.chain(self.bad.iter().map(|id| (id.clone(), -1.0)))
            .collect()
    }

    fn rocchio(&self, has_vectors: bool) -> Option<Rocchio> {
        (has_vectors && !self.is_empty()).then(|| Rocchio {
            good: self.good.clone(),
            bad: self.bad.clone(),
            beta: 0.75,
            gamma: 0.15,
        })
    }
}
