//! The phrases of the network that are titles, and which phrases are joined.

use std::collections::{BTreeMap, HashMap};

use crate::entity::{Resolved, normal};
use crate::extract::Analysed;

/// What the edge from a name to its head counts, against 1 for one that a sentence states.
pub(super) const HEAD_COUNTS: f32 = 0.3;
/// Longest title, in words, that is a phrase of the network.
const TITLE_WORDS: usize = 12;

/// The phrase of each document's title: the thing of that name, or a phrase of its own.
pub(super) fn title_phrases(
    documents: &[Analysed],
    resolved: &Resolved,
) -> (Vec<Option<u32>>, Vec<String>, HashMap<String, u32>) {
    let (mut titles, mut by_key) = (Vec::new(), HashMap::new());
    let mut phrase = |document: &Analysed| {
        let title = &document.text.title;
        let key = normal(title);
        if key.is_empty() || key.split(' ').count() > TITLE_WORDS {
            return None;
        }
        let thing = resolved.find(&key);
        Some(thing.unwrap_or_else(|| {
            *by_key.entry(key).or_insert_with(|| {
                titles.push(title.clone());
                (resolved.things.len() + titles.len() - 1) as u32
            })
        }))
    };
    let title_of = documents.iter().map(&mut phrase).collect();
    (title_of, titles, by_key)
}

/// For names the longest thing that they end with: `open-domain question answering` is question answering.
pub(super) fn heads(resolved: &Resolved) -> BTreeMap<u32, u32> {
    resolved
        .things
        .iter()
        .enumerate()
        .filter_map(|(index, thing)| {
            let mut ends = thing
                .key
                .match_indices(' ')
                .map(|(space, _)| &thing.key[space + 1..]);
            let head = ends.find_map(|end| resolved.find(end))?;
            Some((index as u32, head))
        })
        .collect()
}

/// Edges between the subjects and the objects of a sentence's triples.
pub(super) fn sentence_edges(
    documents: &[Analysed],
    resolved: &Resolved,
    document: usize,
    sentence: usize,
) -> Vec<(u32, u32, f32)> {
    let thing = |mention: u32| resolved.thing(document, sentence, mention as usize);
    let mut edges = Vec::new();
    for triple in &documents[document].sentences[sentence].triples {
        if let Some(subject) = triple.subject_mention.and_then(thing) {
            edges.extend(
                triple
                    .object_mentions
                    .iter()
                    .filter_map(|&m| thing(m))
                    .map(|object| (subject, object, 1.0)),
            );
        }
    }
    edges
}
