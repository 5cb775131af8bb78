//! What a graph finds for a question, without a model: the answer is the evidence.

use mlk8s_graph::{AskOptions, Evidence, Near};

use super::Ask;
use crate::call::Call;
use crate::error::MagicError;
use crate::view::{AnswerView, EvidenceView, MarkedText, TripleView, View};

/// The evidence for `question` in the graph called `kg`, of which `near` are the passages near it in meaning.
pub(super) fn find(
    ask: &Ask,
    kg: &str,
    question: &str,
    near: &[Near],
    call: &Call,
) -> Result<View, MagicError> {
    let (_, index) = call.session.graph(kg)?;
    let options = AskOptions {
        passages: ask.passages.max(1),
        ..AskOptions::default()
    };
    let answer = index.ask(question, &options, near);
    let plain = if ask.compare {
        answer.plain.iter().map(piece).collect()
    } else {
        Vec::new()
    };
    Ok(View::Answer(Box::new(AnswerView {
        question: answer.question.clone(),
        linked: answer
            .linked
            .iter()
            .map(|link| link.entity.clone())
            .collect(),
        guided: answer.guided.iter().map(piece).collect(),
        plain,
        triples: answer
            .triples
            .iter()
            .map(|triple| TripleView {
                subject: triple.subject.clone(),
                relation: triple.relation.clone(),
                object: triple.object.clone(),
                citation: triple.citation,
            })
            .collect(),
        remark: answer.fallback.clone().unwrap_or_default(),
    })))
}

/// A passage as it is shown.
pub(super) fn piece(found: &Evidence) -> EvidenceView {
    EvidenceView {
        citation: found.citation,
        title: found.title.clone(),
        source: found
            .source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        sentences: found
            .sentences
            .iter()
            .map(|sentence| MarkedText {
                text: sentence.text.clone(),
                marked: sentence.marked.clone(),
            })
            .collect(),
    }
}
