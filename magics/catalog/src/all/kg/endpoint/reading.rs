//! An answer taken apart: what it states, and what in it comes from the question and not from the passage.

use std::collections::HashSet;

use mlk8s_graph::statement::{self, Statement};

use super::prompt::Prompt;

/// Words in a row that an answer shares with the question by copying only.
const COPIED_WORDS: usize = 8;
/// How a block begins with which a model goes on inventing passages of its own.
const NEXT: [&str; 3] = ["Text:", "### Input", "### Instruction"];

/// What an answer holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// What it states about the passage.
    pub(super) statements: Vec<Statement>,
    /// It is a list, even if an empty one.
    pub(super) is_list: bool,
    /// Statements that came again.
    pub(super) repeated: usize,
    /// Entries that are no statement.
    pub(super) malformed: usize,
    /// Examples of the question that came back as if the passage stated them.
    pub(super) leaked: usize,
    /// Statements about a passage that the model made up.
    pub(super) invented: usize,
    /// It repeats the question's instructions.
    pub(super) copied: bool,
}

/// Reads `answer` to the question `asked` in the form `prompt` about `passage`.
pub(super) fn read(prompt: Prompt, asked: &str, passage: &str, answer: &str) -> Reading {
    let (answer, beyond) = split(answer);
    let read = statement::read(answer);
    let lower = passage.to_lowercase();
    let stands = |words: &str| lower.contains(&words.to_lowercase());
    let mut statements = read.statements;
    let n_before = statements.len();
    statements.retain(|one| !prompt.shows(one) || (stands(&one.subject) && stands(&one.object)));
    Reading {
        leaked: n_before - statements.len(),
        statements,
        is_list: read.is_list,
        repeated: read.repeated,
        malformed: read.malformed,
        invented: beyond.map_or(0, |text| statement::read(text).statements.len()),
        copied: copies(answer, &asked.replace(passage, "\n"), passage),
    }
}

/// The answer, and what follows it where the model went on with a passage of its own.
fn split(answer: &str) -> (&str, Option<&str>) {
    let mut at = 0;
    for line in answer.split_inclusive('\n') {
        let begins = NEXT.iter().any(|next| line.trim_start().starts_with(next));
        if begins && !answer[..at].trim().is_empty() {
            return (&answer[..at], Some(&answer[at..]));
        }
        at += line.len();
    }
    (answer, None)
}

/// Whether `answer` repeats a stretch of `question` that does not stand in the passage.
fn copies(answer: &str, question: &str, passage: &str) -> bool {
    let runs = |text: &str| -> HashSet<Vec<String>> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        words
            .windows(COPIED_WORDS)
            .map(<[String]>::to_vec)
            .collect()
    };
    let (of_question, of_passage) = (runs(question), runs(passage));
    runs(answer)
        .iter()
        .any(|run| of_question.contains(run) && !of_passage.contains(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGE: &str = "Ada wrote a program. Alice is Bob's mother, people said.";

    fn reading(prompt: Prompt, answer: &str) -> Reading {
        let asked = &prompt.messages(PASSAGE, 5).last().unwrap().content.clone();
        read(prompt, asked, PASSAGE, answer)
    }

    fn said(reading: &Reading) -> Vec<&str> {
        let subjects = reading.statements.iter().map(|s| s.subject.as_str());
        subjects.collect()
    }

    #[test]
    fn examples_that_come_back_are_counted_and_left_out() {
        let answer =
            "(Philz, is, coffee shop)\n(Ada, wrote, a program)\n(Philz, founded in, Berkeley)\n";
        let found = reading(Prompt::LlamaIndex, answer);
        assert_eq!((said(&found), found.leaked), (vec!["Ada"], 2));
        // A passage may state what an example states.
        let found = reading(Prompt::LlamaIndex, "(Alice, is mother of, Bob)");
        assert_eq!((said(&found), found.leaked), (vec!["Alice"], 0));
        // A question without examples cannot leak them.
        let found = reading(Prompt::Lines, "(Philz, is, coffee shop)");
        assert_eq!((said(&found), found.leaked), (vec!["Philz"], 0));
    }

    #[test]
    fn what_follows_a_made_up_passage_is_not_taken() {
        let answer =
            "(Ada, wrote, a program)\nText:\nCarl sold a boat.\nTriplets:\n(Carl, sold, a boat)\n";
        let found = reading(Prompt::Kron, answer);
        assert_eq!((said(&found), found.invented), (vec!["Ada"], 1));
        assert_eq!(
            reading(Prompt::Kron, "Text:\n(Ada, wrote, a program)").invented,
            0
        );
    }

    #[test]
    fn a_copy_of_the_question_is_seen() {
        let copied = "Some text is provided below. Given the text, extract up to 5 knowledge triplets:\n(Ada, wrote, a program)";
        assert!(reading(Prompt::Lines, copied).copied);
        let quoted = "(Ada wrote a program. Alice is Bob's mother, people, said, it)";
        assert!(!reading(Prompt::Lines, quoted).copied);
    }
}
