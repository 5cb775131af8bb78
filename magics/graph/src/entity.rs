//! Which mentions mean the same thing: by normal form, by acronym, by spacing; every merge is recorded with its reason.

mod acronym;
mod lists;
mod name;
mod spelled;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use crate::extract::Analysed;
use acronym::{Ground, Meanings, is_acronym, meanings, singular};
pub(crate) use name::{normal, telling};
pub(crate) use spelled::add_mentions;

/// Share of the documents that explain an acronym which must agree before it means that everywhere.
const AGREEMENT: f32 = 0.8;
/// Shortest name, without spaces, for which `data set` and `dataset` are the same.
const JOINED_LETTERS: usize = 6;
/// A mention that is no name.
const NO_ENTITY: u32 = u32::MAX;

/// A thing that is spoken of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Thing {
    /// Its normal form.
    pub(crate) key: String,
    /// The most frequent way it is written.
    pub(crate) name: String,
    /// The other ways, most frequent first.
    pub(crate) aliases: Vec<String>,
    pub(crate) n_mentions: u32,
    pub(crate) n_documents: u32,
    /// Whether most mentions are proper names.
    pub(crate) proper: bool,
}

/// Why a name was taken for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Merge {
    /// The name as it was written.
    pub(crate) name: String,
    /// Normal form of what it was taken for.
    pub(crate) into: String,
    pub(crate) reason: &'static str,
    /// In how many documents.
    pub(crate) n_documents: u32,
}

/// Things, and which mention means which of them.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// Sorted by normal form.
    pub(crate) things: Vec<Thing>,
    pub(crate) merges: Vec<Merge>,
    by_key: HashMap<String, u32>,
    /// For each document and sentence, where its mentions begin in `meant`.
    bases: Vec<Vec<u32>>,
    meant: Vec<u32>,
}

/// A mention with its normal form after acronyms were written out.
struct Reading {
    key: String,
    /// Set when an acronym was written out.
    reason: Option<&'static str>,
}

impl Resolved {
    /// The thing that a mention means, if it is a name at all.
    pub(crate) fn thing(&self, document: usize, sentence: usize, mention: usize) -> Option<u32> {
        let base = *self.bases.get(document)?.get(sentence)? as usize;
        self.meant
            .get(base + mention)
            .copied()
            .filter(|&thing| thing != NO_ENTITY)
    }

    /// Every normal form of every thing, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, u32)> {
        self.by_key
            .iter()
            .map(|(key, &thing)| (key.as_str(), thing))
    }

    /// The thing with a normal form, or one whose alias has it.
    pub(crate) fn find(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }
}

/// Resolves all mentions of documents that are sorted by id; names in `unmerged` stay what they are.
pub(crate) fn resolve(documents: &[Analysed], unmerged: &BTreeSet<String>) -> Resolved {
    let meanings_of: Vec<Meanings> = documents.par_iter().map(document_meanings).collect();
    let everywhere = agreed(&meanings_of);
    let readings: Vec<Vec<Vec<Reading>>> = documents
        .par_iter()
        .zip(&meanings_of)
        .map(|(document, own)| read_document(document, own, &everywhere, unmerged))
        .collect();
    let respaced = respaced(&readings, unmerged);
    number(documents, &readings, &respaced)
}

fn document_meanings(document: &Analysed) -> Meanings {
    let sentences = document.sentences.iter();
    let text = document.text.body.as_str();
    let names: BTreeSet<&str> = sentences
        .clone()
        .flat_map(|s| s.mentions.iter().map(|m| m.name.as_str()))
        .collect();
    meanings(
        sentences.map(|s| &text[s.span.start as usize..s.span.end as usize]),
        &names,
    )
}

/// The acronyms that mean the same in nearly all documents that explain them.
fn agreed(meanings_of: &[Meanings]) -> BTreeMap<String, String> {
    let mut votes: BTreeMap<&str, BTreeMap<&str, f32>> = BTreeMap::new();
    for (short, (long, ground)) in meanings_of.iter().flatten() {
        let weight = if *ground == Ground::Stated { 1.0 } else { 0.25 };
        *votes.entry(short).or_default().entry(long).or_default() += weight;
    }
    let mut agreed = BTreeMap::new();
    for (short, longs) in votes {
        let sum: f32 = longs.values().sum();
        if let Some((long, _)) = longs
            .into_iter()
            .find(|(_, weight)| *weight >= AGREEMENT * sum)
        {
            agreed.insert(short.to_owned(), long.to_owned());
        }
    }
    agreed
}

fn read_document(
    document: &Analysed,
    own: &Meanings,
    everywhere: &BTreeMap<String, String>,
    unmerged: &BTreeSet<String>,
) -> Vec<Vec<Reading>> {
    let meaning = |word: &str| -> Option<(&str, &'static str)> {
        if !is_acronym(word) || unmerged.contains(word) {
            return None;
        }
        match own.get(singular(word)) {
            Some((long, Ground::Stated)) => Some((long, "acronym stated in the document")),
            Some((long, Ground::Initials)) => {
                Some((long, "acronym with these initials in the document"))
            }
            None => everywhere
                .get(singular(word))
                .map(|long| (long.as_str(), "acronym explained in other documents")),
        }
    };
    let read = |name: &str| {
        if unmerged.contains(name) {
            return Reading {
                key: name::normal(name),
                reason: None,
            };
        }
        let head = name::head(name);
        let mut reason = None;
        let words: Vec<&str> = head
            .split(' ')
            .map(|word| match meaning(word) {
                Some((long, why)) => {
                    reason = Some(why);
                    long
                }
                None => word,
            })
            .collect();
        // `question answering QA` would else be `question answering question answering`.
        let key = if reason.is_some() {
            once(&normal(&words.join(" ")))
        } else {
            normal(&head)
        };
        let key = if name::usable(&head, &key) {
            key
        } else {
            String::new()
        };
        Reading { key, reason }
    };
    document
        .sentences
        .iter()
        .map(|s| s.mentions.iter().map(|m| read(&m.name)).collect())
        .collect()
}

/// A key whose second half repeats its first, once.
fn once(key: &str) -> String {
    let words: Vec<&str> = key.split(' ').collect();
    let (first, second) = words.split_at(words.len() / 2);
    if first == second {
        first.join(" ")
    } else {
        key.to_owned()
    }
}

/// Keys that differ from a more frequent one only in their spaces.
fn respaced(
    readings: &[Vec<Vec<Reading>>],
    unmerged: &BTreeSet<String>,
) -> HashMap<String, String> {
    let apart: BTreeSet<String> = unmerged.iter().map(|name| normal(name)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reading in readings.iter().flatten().flatten() {
        *counts.entry(&reading.key).or_default() += 1;
    }
    let mut best: HashMap<String, (&str, usize)> = HashMap::new();
    let joined = |key: &str| key.replace(' ', "");
    let candidates = || {
        counts
            .iter()
            .filter(|(key, _)| key.len() >= JOINED_LETTERS && !apart.contains(**key))
    };
    for (key, &count) in candidates() {
        let entry = best.entry(joined(key)).or_insert((key, count));
        if count > entry.1 {
            *entry = (key, count);
        }
    }
    candidates()
        .filter_map(|(key, _)| {
            let (winner, _) = best.get(&joined(key))?;
            (winner != key).then(|| ((*key).to_owned(), (*winner).to_owned()))
        })
        .collect()
}

#[derive(Default)]
struct Tally<'a> {
    surfaces: BTreeMap<&'a str, u32>,
    n_documents: u32,
    latest: Option<usize>,
    n_proper: u32,
}

/// Numbers the things by normal form and says what each mention means.
fn number(
    documents: &[Analysed],
    readings: &[Vec<Vec<Reading>>],
    respaced: &HashMap<String, String>,
) -> Resolved {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut merges: BTreeMap<(&str, &str, &'static str), (u32, usize)> = BTreeMap::new();
    for (at, (document, sentences)) in documents.iter().zip(readings).enumerate() {
        let mentions = document.sentences.iter().flat_map(|s| &s.mentions);
        for (mention, reading) in mentions.zip(sentences.iter().flatten()) {
            if reading.key.is_empty() {
                continue;
            }
            let key = settled(reading, respaced);
            let tally = tallies.entry(key).or_default();
            *tally.surfaces.entry(&mention.name).or_default() += 1;
            tally.n_proper += u32::from(mention.proper);
            if tally.latest.replace(at) != Some(at) {
                tally.n_documents += 1;
            }
            let reason = reading
                .reason
                .or((key != reading.key).then_some("written with other spaces"));
            if let Some(reason) = reason {
                let merge = merges
                    .entry((&mention.name, key, reason))
                    .or_insert((0, usize::MAX));
                if merge.1 != at {
                    *merge = (merge.0 + 1, at);
                }
            }
        }
    }
    let things: Vec<Thing> = tallies
        .iter()
        .map(|(key, tally)| thing(key, tally))
        .collect();
    let numbers: HashMap<&str, u32> = tallies
        .keys()
        .enumerate()
        .map(|(i, key)| (*key, i as u32))
        .collect();
    let mut resolved = Resolved::default();
    for sentences in readings {
        let mut bases = Vec::with_capacity(sentences.len());
        for sentence in sentences {
            bases.push(resolved.meant.len() as u32);
            resolved.meant.extend(sentence.iter().map(|r| {
                numbers
                    .get(settled(r, respaced))
                    .copied()
                    .unwrap_or(NO_ENTITY)
            }));
        }
        resolved.bases.push(bases);
    }
    resolved.merges = merges
        .into_iter()
        .map(|((name, into, reason), (n_documents, _))| Merge {
            name: name.to_owned(),
            into: into.to_owned(),
            reason,
            n_documents,
        })
        .collect();
    resolved.by_key = lookup(&things);
    resolved.things = things;
    resolved
}

fn settled<'a>(reading: &'a Reading, respaced: &'a HashMap<String, String>) -> &'a str {
    respaced.get(&reading.key).unwrap_or(&reading.key)
}

/// Every normal form of every name; a thing's own form before the aliases, and of those the most mentioned thing's.
fn lookup(things: &[Thing]) -> HashMap<String, u32> {
    let mut by_key: HashMap<String, u32> = HashMap::new();
    for (index, thing) in things.iter().enumerate() {
        by_key.insert(thing.key.clone(), index as u32);
    }
    let own = by_key.clone();
    for (index, thing) in things.iter().enumerate() {
        for name in std::iter::once(&thing.name).chain(&thing.aliases) {
            let key = normal(name);
            if key.is_empty() || own.contains_key(&key) {
                continue;
            }
            let holder = by_key.entry(key).or_insert(index as u32);
            if things[*holder as usize].n_mentions < thing.n_mentions {
                *holder = index as u32;
            }
        }
    }
    by_key
}

fn thing(key: &str, tally: &Tally) -> Thing {
    let n_mentions: u32 = tally.surfaces.values().sum();
    // A name at the start of a sentence has a capital that is not its own: small letters win when they occur at all.
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for (surface, count) in &tally.surfaces {
        let small = lower_first(surface);
        let name = if small != **surface && tally.surfaces.contains_key(small.as_str()) {
            small
        } else {
            (*surface).to_owned()
        };
        *names.entry(name).or_default() += count;
    }
    let mut ranked: Vec<(String, u32)> = names.into_iter().collect();
    ranked.sort_by(|a, b| {
        b.1.cmp(&a.1)
            .then_with(|| b.0.len().cmp(&a.0.len()))
            .then_with(|| a.0.cmp(&b.0))
    });
    let mut ranked = ranked.into_iter().map(|(name, _)| name);
    Thing {
        key: key.to_owned(),
        name: ranked.next().unwrap_or_else(|| key.to_owned()),
        aliases: ranked.collect(),
        n_mentions,
        n_documents: tally.n_documents,
        proper: tally.n_proper * 2 > n_mentions,
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
