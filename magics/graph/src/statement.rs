//! Triples that a model found: read from its answer, and tied to the words of the text that support them.

use std::collections::BTreeSet;
use std::ops::Range;

use mlk8s_corpus::Document;
use serde_json::{Value, json};

use crate::extract::{Analysed, Mention, Sentence, Span, Triple, one_line};

/// Confidence of a statement whose relation stands in the sentence, too, and of any other supported one.
const CONFIDENCE: [f32; 2] = [0.9, 0.6];
/// Words with which a noun phrase may begin, and which a model may leave out or add.
const ARTICLES: [&str; 8] = [
    "the ", "a ", "an ", "this ", "these ", "its ", "their ", "our ",
];

/// A triple in a model's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Who or what.
    pub subject: String,
    /// What it does or is.
    pub relation: String,
    /// To whom or what.
    pub object: String,
}

/// A stretch of a document that a model is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Its sentences, by their numbers in the document.
    pub sentences: Range<usize>,
    /// Its text.
    pub text: String,
}

/// What was read from an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The statements, each once.
    pub statements: Vec<Statement>,
    /// How often one came again.
    pub repeated: usize,
    /// Entries that were no statement.
    pub malformed: usize,
    /// The answer is a list, even if it is an empty or a broken one.
    pub is_list: bool,
}

/// What became of the statements of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Support {
    /// Statements whose subject and object stand in one sentence.
    pub supported: usize,
    /// All others: they are not taken into the graph.
    pub unsupported: usize,
}

/// The passages of `document`, of at most `words` words each.
pub fn passages(document: &Document, words: usize) -> Vec<Passage> {
    mlk8s_corpus::chunks(&document.text, words.max(1))
        .into_iter()
        .map(|chunk| Passage {
            sentences: chunk.sentences,
            text: one_line(&document.text[chunk.range]),
        })
        .collect()
}

/// JSON Schema of an answer.
pub fn schema() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        "properties": { "triples": { "type": "array", "items": {
            "type": "object",
            "properties": { "subject": text(), "predicate": text(), "object": text() },
            "required": ["subject", "predicate", "object"],
            "additionalProperties": false,
        } } },
        "required": ["triples"],
        "additionalProperties": false,
    })
}

/// Reads an answer: JSON in any of the forms that models use, also when it was cut off, or lines like `(a, b, c)`.
pub fn read(answer: &str) -> Reading {
    let mut reading = Reading::default();
    let mut seen = BTreeSet::new();
    let text = answer.split("<|").next().unwrap_or_default();
    let mut add = |statement: Option<Statement>, reading: &mut Reading| match statement {
        Some(statement) if seen.insert(statement.clone()) => reading.statements.push(statement),
        Some(_) => reading.repeated += 1,
        None => reading.malformed += 1,
    };
    if let Some(begin) = text.find(['{', '[']) {
        let whole = serde_json::Deserializer::from_str(&text[begin..])
            .into_iter::<Value>()
            .next();
        if let Some(Ok(value)) = whole {
            let list = value
                .get("triples")
                .or(value.get("triplets"))
                .unwrap_or(&value);
            if let Some(list) = list.as_array() {
                reading.is_list = true;
                for entry in list {
                    add(statement(entry), &mut reading);
                }
                return reading;
            }
        }
        // A list that was cut off, or that stands among other things: every entry that is whole counts.
        let inside = text[begin..]
            .find('[')
            .map_or("", |at| &text[begin + at + 1..]);
        reading.is_list = !inside.is_empty();
        let mut rest = inside;
        while let Some(at) = rest.find(['{', '[']) {
            let mut entries = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
            if let Some(Ok(entry)) = entries.next() {
                add(statement(&entry), &mut reading);
                rest = &rest[at + entries.byte_offset()..];
            } else {
                reading.malformed += 1;
                rest = &rest[at + 1..];
            }
        }
    }
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('('))
    {
        reading.is_list = true;
        add(in_brackets(line), &mut reading);
    }
    reading
}

fn statement(entry: &Value) -> Option<Statement> {
    let word = |value: &Value| value.as_str().map(one_line).filter(|word| !word.is_empty());
    let field = |names: &[&str]| names.iter().find_map(|name| word(entry.get(*name)?));
    if let Some(list) = entry.as_array() {
        let [subject, relation, object] = list.as_slice() else {
            return None;
        };
        return Some(Statement {
            subject: word(subject)?,
            relation: word(relation)?,
            object: word(object)?,
        });
    }
    Some(Statement {
        subject: field(&["subject", "head", "source"])?,
        relation: field(&["predicate", "relation", "verb", "label"])?,
        object: field(&["object", "tail", "target"])?,
    })
}

/// `(subject, relation, object)`; commas beyond the second belong to the object.
fn in_brackets(line: &str) -> Option<Statement> {
    let inside = line.strip_prefix('(')?.split(')').next()?;
    line.contains(')').then_some(())?;
    let mut parts = inside
        .splitn(3, ',')
        .map(|part| one_line(part.trim().trim_matches(['"', '\''])));
    let (subject, relation, object) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = !subject.is_empty() && !relation.is_empty() && !object.is_empty();
    whole.then_some(Statement {
        subject,
        relation,
        object,
    })
}

/// Ties statements to the sentences of `passage` that hold their subject and their object.
pub(crate) fn attach(
    document: &mut Analysed,
    passage: &Range<usize>,
    statements: &[Statement],
) -> Support {
    let mut support = Support::default();
    let body = document.text.body.clone();
    let range =
        passage.start.min(document.sentences.len())..passage.end.min(document.sentences.len());
    for statement in statements {
        let placed = document.sentences[range.clone()]
            .iter_mut()
            .find_map(|sentence| {
                place(&body, sentence, statement).map(|triple| (sentence, triple))
            });
        match placed {
            Some((sentence, triple)) => {
                sentence.triples.push(triple);
                support.supported += 1;
            }
            None => support.unsupported += 1,
        }
    }
    support
}

fn place(body: &str, sentence: &mut Sentence, statement: &Statement) -> Option<Triple> {
    let text = &body[sentence.span.start as usize..sentence.span.end as usize];
    let base = sentence.span.start;
    let subject = find(text, &statement.subject)?;
    let object = find_beside(text, &statement.object, &subject)?;
    let relation = find(text, &statement.relation);
    let shift = |range: &Range<usize>| base + range.start as u32..base + range.end as u32;
    let (subject, object) = (shift(&subject), shift(&object));
    Some(Triple {
        relation: statement.relation.clone(),
        relation_span: relation.as_ref().map_or(subject.end..subject.end, shift),
        adverbial: None,
        confidence: CONFIDENCE[usize::from(relation.is_none())],
        subject_mention: Some(mention(body, sentence, &subject)),
        object_mentions: vec![mention(body, sentence, &object)],
        subject,
        object,
        by_model: true,
    })
}

/// The number of the sentence's mention that `span` is; a new one where there was none.
fn mention(body: &str, sentence: &mut Sentence, span: &Span) -> u32 {
    let overlap = |other: &Span| {
        let both = span
            .end
            .min(other.end)
            .saturating_sub(span.start.max(other.start));
        both * 2 > span.end - span.start
    };
    let known = sentence
        .mentions
        .iter()
        .position(|mention| overlap(&mention.span));
    let number = known.unwrap_or_else(|| {
        let text = one_line(&body[span.start as usize..span.end as usize]);
        sentence.mentions.push(Mention {
            span: span.clone(),
            proper: text.starts_with(char::is_uppercase),
            name: bare(&text).to_owned(),
        });
        sentence.mentions.len() - 1
    });
    number as u32
}

fn bare(text: &str) -> &str {
    let lower = text.to_lowercase();
    let article = ARTICLES.iter().find(|article| lower.starts_with(*article));
    article.map_or(text, |article| text.get(article.len()..).unwrap_or(text))
}

fn find(text: &str, wanted: &str) -> Option<Range<usize>> {
    matches(text, bare(wanted)).into_iter().next()
}

/// A place of `wanted` that is not within `taken`, best one behind it.
fn find_beside(text: &str, wanted: &str, taken: &Range<usize>) -> Option<Range<usize>> {
    let free: Vec<_> = matches(text, bare(wanted))
        .into_iter()
        .filter(|found| found.end <= taken.start || found.start >= taken.end)
        .collect();
    let behind = free.iter().find(|found| found.start >= taken.end);
    behind.or(free.first()).cloned()
}

/// Where `wanted` stands in `text` as whole words, whatever the case and the blanks.
fn matches(text: &str, wanted: &str) -> Vec<Range<usize>> {
    let folded = fold(text);
    let wanted: Vec<char> = fold(wanted).into_iter().map(|(_, c)| c).collect();
    let wanted: &[char] = match wanted.as_slice() {
        [inner @ .., ' '] => inner,
        all => all,
    };
    if wanted.is_empty() || folded.len() < wanted.len() {
        return Vec::new();
    }
    let is_word = |at: Option<&(usize, char)>| at.is_some_and(|(_, c)| c.is_alphanumeric());
    (0..=folded.len() - wanted.len())
        .filter(|&at| {
            let end = at + wanted.len();
            folded[at..end].iter().map(|(_, c)| c).eq(wanted)
                && !(at > 0 && is_word(folded.get(at - 1)) && wanted[0].is_alphanumeric())
                && !(is_word(folded.get(end)) && wanted[wanted.len() - 1].is_alphanumeric())
        })
        .map(|at| {
            let end = folded
                .get(at + wanted.len())
                .map_or(text.len(), |(byte, _)| *byte);
            let start = folded[at].0;
            start..start + text[start..end].trim_end().len()
        })
        .collect()
}

/// Small letters with the bytes where they stand; a run of blanks is one.
fn fold(text: &str) -> Vec<(usize, char)> {
    let mut out: Vec<(usize, char)> = Vec::new();
    for (byte, c) in text.char_indices() {
        if c.is_whitespace() {
            if out.last().is_none_or(|(_, last)| *last != ' ') {
                out.push((byte, ' '));
            }
        } else {
            out.push((byte, c.to_lowercase().next().unwrap_or(c)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(answer: &str) -> Vec<(String, String, String)> {
        let read = read(answer).statements;
        read.into_iter()
            .map(|s| (s.subject, s.relation, s.object))
            .collect()
    }

    #[test]
    fn answers_are_read_in_every_form() {
        let wanted = vec![(
            "Ada".to_owned(),
            "wrote".to_owned(),
            "a program, a long one".to_owned(),
        )];
        for answer in [
            r#"{"triples":[{"subject":"Ada","predicate":"wrote","object":"a program, a long one"}]}"#,
            "```json\n{\"triples\": [{\"subject\": \"Ada\", \"predicate\": \"wrote\", \"object\": \"a program, a long one\"}]}\n```\nI hope this helps!",
            r#"[["Ada","wrote","a program, a long one"]]"#,
            r#"{"triples":[{"head":"Ada","relation":"wrote","tail":"a program, a long one"},{"head":"Bo"#,
            "Triplets:\n  (Ada, wrote, a program, a long one)\n(Ada, wrote, a program, a long one)\n(unclosed, x, y<|endoftext|>(Bob, is, here)",
        ] {
            assert_eq!(statements(answer), wanted, "{answer}");
        }
        assert!(!read("I cannot do that.").is_list);
        assert_eq!(
            read(r#"{"triples":[]}"#),
            Reading {
                is_list: true,
                ..Reading::default()
            }
        );
        let loops = read(&"(Adam, method, for)\n".repeat(13));
        assert_eq!((loops.statements.len(), loops.repeated), (1, 12));
        assert_eq!(
            read(r#"{"triples":[{"subject":"a"},["b","c"],7]}"#).malformed,
            3
        );
    }

    #[test]
    fn words_are_found_whatever_their_case_and_blanks() {
        let text = "The  Größe of\nthe Analytical Engine; engines.";
        assert_eq!(&text[find(text, "the größe").unwrap()], "Größe");
        assert_eq!(
            &text[find(text, "an analytical engine").unwrap()],
            "Analytical Engine"
        );
        assert_eq!(find(text, "engine s"), None);
        assert_eq!(&text[find(text, "engines").unwrap()], "engines");
        assert_eq!(find(text, "ngine"), None);
        assert_eq!(find(text, ""), None);
        assert_eq!(find_beside("a is a", "a", &(0..1)), None.or(Some(5..6)));
    }
}
