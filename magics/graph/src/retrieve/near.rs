//! Passages whose meaning is near a question's, as whoever has vectors of both knows them.

use super::{MOST_PASSAGES, Retriever};
use crate::extract::Analysed;

/// Cosine below which not even the nearest passage is taken for related. With `MiniLM` questions have more with the nearest (95 %
/// of those about the sample articles, all of `MuSiQue`), and nonsense has less where passages are few; there are models that
/// give unrelated texts more, and for them it does nothing.
const RELATED: f32 = 0.25;

/// A passage, for whoever makes vectors of passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassageText<'a> {
    /// Identifier of its document.
    pub document: &'a str,
    /// Title of its document.
    pub title: &'a str,
    /// Where it begins in the document's text, in bytes.
    pub start: usize,
    /// The passage.
    pub text: &'a str,
}

/// A passage whose meaning is near a question's.
#[derive(Debug, Clone, PartialEq)]
pub struct Near {
    /// Its [`PassageText::id`]; one that the graph does not know counts for nothing.
    pub passage: String,
    /// Cosine of its vector and the question's.
    pub similarity: f32,
}

impl PassageText<'_> {
    /// Names the passage as long as it begins where it does in its document.
    pub fn id(&self) -> String {
        format!("{}:{}", self.document, self.start)
    }

    /// What a vector is made of: the passage below the title, without which few passages say what they are about.
    pub fn with_title(&self) -> String {
        format!("{}. {}", self.title, self.text)
    }
}

/// How near each of `n_passages` passages is: 1 for the nearest, 0 for the last of those that are told and for all others;
/// empty without any, or when not even the nearest has to do with the question. Cosines of different models and questions have different ranges, so that only their order and
/// distance within one question say something.
pub(super) fn portions(n_passages: usize, near: &[(u32, f32)]) -> Vec<f32> {
    let mut sorted: Vec<(u32, f32)> = near.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    sorted.truncate(MOST_PASSAGES);
    let (Some((_, most)), Some((_, least))) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    if *most < RELATED {
        return Vec::new();
    }
    let range = most - least;
    let mut portions = vec![0.0; n_passages];
    for (passage, similarity) in &sorted {
        // One alone, or several that are all as near, are the nearest.
        let portion = if range > 0.0 {
            (similarity - least) / range
        } else {
            1.0
        };
        portions[*passage as usize] = portion;
    }
    portions
}

impl Retriever {
    /// The passages, in order.
    pub(crate) fn passages<'a>(
        &'a self,
        documents: &'a [Analysed],
    ) -> impl ExactSizeIterator<Item = PassageText<'a>> {
        self.passages.iter().map(move |passage| {
            let text = &documents[passage.document].text;
            let first = &documents[passage.document].sentences[passage.sentences.start];
            PassageText {
                document: &text.id,
                title: &text.title,
                start: first.span.start as usize,
                text: super::evidence::passage_text(documents, passage),
            }
        })
    }

    /// Numbers of the passages that are told to be near, with how near they are.
    pub(super) fn numbers(&self, documents: &[Analysed], near: &[Near]) -> Vec<(u32, f32)> {
        if near.is_empty() {
            return Vec::new();
        }
        let by_id = self.by_id.get_or_init(|| {
            let ids = self.passages(documents).map(|passage| passage.id());
            ids.zip(0..).collect()
        });
        let known = near
            .iter()
            .filter_map(|near| Some((*by_id.get(&near.passage)?, near.similarity)));
        known
            .filter(|(_, similarity)| similarity.is_finite())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::portions;

    #[test]
    fn the_nearest_counts_whole_and_the_last_not_at_all() {
        assert_eq!(
            portions(4, &[(2, 0.25), (0, 0.75), (3, 0.5)]),
            [1.0, 0.0, 0.0, 0.5]
        );
        assert!(portions(4, &[]).is_empty());
        assert_eq!(portions(2, &[(1, 0.5)]), [0.0, 1.0]);
        assert_eq!(portions(2, &[(1, 0.5), (0, 0.5)]), [1.0, 1.0]);
        assert!(portions(2, &[(1, 0.2), (0, 0.1)]).is_empty());
    }
}
