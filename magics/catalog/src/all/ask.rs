//! `%%ask`: answers a question from a knowledge graph, without a model: the answer is the evidence.

use clap::Parser;
use mlk8s_graph::{Answer, AskOptions, Evidence};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::view::{AnswerView, EvidenceView, MarkedText, ToView, TripleView, View};

/// Answer the question in the cell with evidence from a knowledge graph
#[derive(Debug, Parser)]
pub(super) struct Ask {
    /// Name of the graph that guides the answer
    #[arg(long, value_name = "NAME", default_value = "kg")]
    kg: ValueName,
    /// Show beside it what plain word search finds
    #[arg(long)]
    compare: bool,
    /// Number of passages
    #[arg(long, value_name = "N", default_value = "5")]
    passages: usize,
}

/// The answer, and whether the comparison was asked for.
pub(super) struct Answered {
    answer: Answer,
    compare: bool,
}

impl Magic for Ask {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &["%corpus articles --as docs", "%kg build docs --as kg"],
            cell: "%%ask --kg kg --compare\nWhat benchmarks can we use for QA?",
            about: "evidence guided by the graph, next to plain word search",
            shows: "[1]",
        },
        Example {
            after: &["%corpus articles --as docs", "%kg build docs --as kg"],
            cell: "%%ask --kg kg --passages 2\nWhat is a knowledge graph?",
            about: "two passages only",
            shows: "[2]",
        },
    ];
    type Outcome = Answered;

    fn run(self, call: &mut Call) -> Result<Answered, MagicError> {
        let question = call.body.unwrap_or_default().trim();
        if question.is_empty() {
            return Err(MagicError::new(ErrorKind::Usage, "there is no question")
                .with_hint("write the question below the line `%%ask`"));
        }
        let (_, index) = call.session.graph(self.kg.as_str())?;
        let options = AskOptions {
            passages: self.passages.max(1),
            ..AskOptions::default()
        };
        Ok(Answered {
            answer: index.ask(question, &options),
            compare: self.compare,
        })
    }
}

impl ToView for Answered {
    fn to_view(&self) -> View {
        let answer = &self.answer;
        let plain = if self.compare {
            answer.plain.iter().map(evidence).collect()
        } else {
            Vec::new()
        };
        View::Answer(Box::new(AnswerView {
            question: answer.question.clone(),
            linked: answer
                .linked
                .iter()
                .map(|link| link.entity.clone())
                .collect(),
            guided: answer.guided.iter().map(evidence).collect(),
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
        }))
    }
}

fn evidence(found: &Evidence) -> EvidenceView {
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
