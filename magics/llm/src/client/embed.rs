//! Vectors of many texts or pictures, some at a time.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::many::STANDING;
use super::passing::Passing;
use super::{Client, picture};
use crate::call::{Answer, Call, Kind, Message, Role};
use crate::error::LlmError;

/// Texts of one request.
const TEXTS: usize = 64;
/// Bytes of the texts of one request, where it is more than one: some pages, which a small machine reads in a minute.
const TEXT_BYTES: u64 = 64 << 10;
/// Pictures of one request.
const PICTURES: usize = 32;
/// Bytes of the pictures of one request, where it is more than one.
const PICTURE_BYTES: u64 = 4 << 20;
/// Requests with pictures that are in memory at once.
const STANDING_PICTURES: usize = 8;

/// Vectors of texts or pictures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// Row by row, in the order of the texts.
    pub values: Vec<f32>,
    /// Numbers of a row.
    pub n_dims: usize,
    /// Tokens that the server counted.
    pub n_tokens: u64,
    /// Texts that were longer than the model reads, where the server says so.
    pub n_truncated: u64,
    /// US dollars that were paid.
    pub usd: f64,
    /// Texts or pictures whose vectors were there already.
    pub n_reused: usize,
}

/// Whom to tell how many are done, and who says that it is enough.
struct Watch<'a> {
    stop: &'a (dyn Fn() -> bool + Sync),
    report: &'a mut dyn FnMut(usize),
}

/// What is to be asked, in parts.
struct Work<'a> {
    parts: Vec<Range<usize>>,
    /// The call for a part; `None` where it cannot be made.
    call: &'a dyn Fn(&Range<usize>) -> Option<Call>,
    /// Calls in memory at once.
    standing: usize,
    /// What is there already, and where the rest is kept.
    passing: Option<Passing>,
}

impl Client {
    /// The vectors of `texts`, asked for as `pattern` says; `report` is told how many texts are done. What was answered
    /// is kept: the same texts cost nothing a second time. Of a process of this machine, which costs nothing, answers are
    /// kept until all are there, so that a stop, a kill or its end loses none.
    pub fn embed<T: AsRef<str>>(
        &self,
        pattern: &Call,
        texts: &[T],
        stop: &(dyn Fn() -> bool + Sync),
        report: &mut dyn FnMut(usize),
    ) -> Result<Embedded, LlmError> {
        let sizes = texts.iter().map(|text| text.as_ref().len() as u64);
        let parts = parts(sizes, TEXTS, TEXT_BYTES);
        let call = |part: &Range<usize>| {
            let texts = texts[part.clone()].iter();
            let contents = texts.map(|text| text.as_ref().to_owned());
            Some(call(pattern, Kind::Embedding, contents))
        };
        let contents = texts.iter().map(|text| text.as_ref().as_bytes());
        let work = Work {
            passing: self.passing(pattern, contents, parts.len()),
            parts,
            call: &call,
            standing: STANDING,
        };
        self.vectors(pattern, work, &mut Watch { stop, report })
            .map_err(|(_, error)| error)
    }

    /// The vectors of the pictures in `files`, as [`Client::embed`] has those of texts. Files are read when their turn
    /// comes, and sent in requests of a few megabytes.
    pub fn embed_pictures<P: AsRef<Path>>(
        &self,
        pattern: &Call,
        files: &[P],
        stop: &(dyn Fn() -> bool + Sync),
        report: &mut dyn FnMut(usize),
    ) -> Result<Embedded, LlmError> {
        let size = |file: &P| std::fs::metadata(file).map_or(0, |about| about.len());
        let parts = parts(files.iter().map(size), PICTURES, PICTURE_BYTES);
        let unreadable = RefCell::new(None);
        let call = |part: &Range<usize>| {
            let files = files[part.clone()].iter();
            let uris: Result<Vec<String>, LlmError> =
                files.map(|file| picture::uri(file.as_ref())).collect();
            match uris {
                Ok(uris) => Some(call(pattern, Kind::Pictures, uris)),
                Err(error) => {
                    unreadable.replace(Some(error));
                    None
                }
            }
        };
        let contents = files.iter().map(|file| picture::stamp(file.as_ref()));
        let work = Work {
            passing: self.passing(pattern, contents, parts.len()),
            parts,
            call: &call,
            standing: STANDING_PICTURES,
        };
        let made = self.vectors(pattern, work, &mut Watch { stop, report });
        if let Some(error) = unreadable.take() {
            return Err(error);
        }
        made.map_err(|(part, error)| picture::named(error, &files[part]))
    }

    /// What is there of the vectors of `contents`, in `n` requests, where `pattern` says what answers.
    fn passing<B: AsRef<[u8]>>(
        &self,
        pattern: &Call,
        contents: impl Iterator<Item = B>,
        n: usize,
    ) -> Option<Passing> {
        let identity = pattern.identity.as_ref()?;
        let mut name = Sha256::new();
        name.update(identity);
        for content in contents {
            let content = content.as_ref();
            name.update((content.len() as u64).to_le_bytes());
            name.update(content);
        }
        let name = hex::encode(name.finalize());
        Passing::open(&self.shared.places.state, &name, n)
    }

    /// Does the work; an error comes with the part that it is about.
    fn vectors(
        &self,
        pattern: &Call,
        work: Work<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Embedded, (Range<usize>, LlmError)> {
        let Work { parts, passing, .. } = &work;
        let mut answers: Vec<Option<Answer>> = (0..parts.len())
            .map(|at| {
                let answer = passing.as_ref()?.get(at)?;
                Some(Answer {
                    reused: true,
                    ..answer
                })
            })
            .collect();
        let there = parts.iter().zip(&answers).filter(|(_, is)| is.is_some());
        let mut done = there.map(|(part, _)| part.len()).sum();
        let left: Vec<usize> = (0..parts.len())
            .filter(|&at| answers[at].is_none())
            .collect();
        let calls = left
            .into_iter()
            .map_while(|at| Some((at, (work.call)(&parts[at])?)))
            .fuse();
        let mut failure = None;
        self.ask_standing(
            work.standing,
            calls,
            watch.stop,
            &mut |at, answer| match answer {
                Ok(answer) => {
                    if let Some(passing) = passing {
                        passing.put(at, &answer);
                    }
                    done += parts[at].len();
                    answers[at] = Some(answer);
                    (watch.report)(done);
                    true
                }
                Err(error) => {
                    failure.get_or_insert((parts[at].clone(), error));
                    false
                }
            },
        );
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut out = Embedded::default();
        let mut wrong = None;
        for (answer, part) in answers.into_iter().zip(parts) {
            let answer = answer.ok_or_else(|| (part.clone(), LlmError::Cancelled))?;
            if let Err(error) = out.take(&answer, part.len(), &pattern.endpoint.name) {
                wrong.get_or_insert((part.clone(), error));
            }
        }
        // Also where it is wrong: it would be so for good.
        if let Some(passing) = work.passing {
            passing.forget();
        }
        wrong.map_or(Ok(out), Err)
    }
}

/// A call for the vectors of `contents`.
fn call(pattern: &Call, kind: Kind, contents: impl IntoIterator<Item = String>) -> Call {
    let message = |content| Message {
        role: Role::User,
        content,
    };
    Call {
        kind,
        stream: false,
        reuse: pattern.endpoint.process.is_none(),
        messages: contents.into_iter().map(message).collect(),
        ..pattern.clone()
    }
}

/// Neighbours of which there are `most` at most, and which have `bytes` together at most or are alone.
fn parts(sizes: impl Iterator<Item = u64>, most: usize, bytes: u64) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (at, size) in sizes.enumerate() {
        match parts.last_mut() {
            Some(part) if part.len() < most && sum + size <= bytes => {
                part.end = at + 1;
                sum += size;
            }
            _ => {
                parts.push(at..at + 1);
                sum = size;
            }
        }
    }
    parts
}

impl Embedded {
    /// Adds the rows of `answer`, which must be `n`.
    fn take(&mut self, answer: &Answer, n: usize, endpoint: &str) -> Result<(), LlmError> {
        let garbled = |why: String| LlmError::Garbled {
            endpoint: endpoint.to_owned(),
            why,
        };
        let lines: Vec<&str> = answer.text.lines().collect();
        if lines.len() != n {
            return Err(garbled(format!("{} vectors for {n} inputs", lines.len())));
        }
        for line in lines {
            let bytes = hex::decode(line).map_err(|error| garbled(error.to_string()))?;
            let row = bytes
                .chunks_exact(4)
                .map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]));
            let dims = row.len();
            if self.n_dims == 0 {
                self.n_dims = dims;
            }
            if dims != self.n_dims || dims == 0 {
                return Err(garbled(format!(
                    "a vector of {dims} numbers among such of {}",
                    self.n_dims
                )));
            }
            self.values.extend(row);
        }
        self.n_tokens += answer.usage.prompt;
        self.n_truncated += answer.truncated;
        self.usd += answer.usd.unwrap_or(0.0);
        self.n_reused += if answer.reused { n } else { 0 };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_neither_long_nor_heavy() {
        let sizes = [1, 2, 3, 9, 1, 1, 1, 1, 1];
        assert_eq!(
            parts(sizes.into_iter(), 4, 5),
            [0..2, 2..3, 3..4, 4..8, 8..9]
        );
        assert_eq!(parts([0; 5].into_iter(), 2, 0), [0..2, 2..4, 4..5]);
        assert!(parts(std::iter::empty(), 2, 0).is_empty());
    }
}
