//! Answers of a given form: JSON schemas, regular expressions and grammars, by llguidance over our own tokenizer.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use toktrie::{INVALID_TOKEN, SimpleVob, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::{Constraint, GenerateError, Text};

/// Compiled grammars that are kept.
const MAX_KEPT: usize = 64;

/// Longest token that a grammar may use, in bytes; the trie can't hold much longer ones.
const MAX_TOKEN_BYTES: usize = 1000;

/// Characters of a reason that are of use to a reader.
const MAX_REASON: usize = 600;

/// White space between the parts of JSON: one space at most. A program reads it, and each blank is a token that takes its
/// time; without a bound, weak models write nothing else until their tokens run out.
const JSON_BLANKS: &str = "[ ]";

/// Compiles constraints, and keeps the compiled ones.
pub(crate) struct Grammars {
    text: Arc<Text>,
    /// Made when the first constraint comes: it takes a moment for a large vocabulary.
    factory: OnceLock<Result<ParserFactory, String>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    matchers: HashMap<String, (Matcher, u64)>,
    clock: u64,
}

impl Grammars {
    pub(crate) fn new(text: Arc<Text>) -> Self {
        Self {
            text,
            factory: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// A fresh guide for one answer. What it learns on the way serves all answers with the same constraint. The error says
    /// what is wrong with the constraint.
    pub(crate) fn guide(&self, constraint: &Constraint) -> Result<Guide, String> {
        let key = match constraint {
            Constraint::JsonObject => "object".to_owned(),
            Constraint::JsonSchema(schema) => format!("schema {schema}"),
            Constraint::Regex(regex) => format!("regex {regex}"),
            Constraint::Lark(grammar) => format!("lark {grammar}"),
        };
        if let Some(matcher) = self.recall(&key) {
            return Ok(Guide::new(matcher));
        }
        let matcher = self
            .compile(constraint)
            .map_err(|reason| shorten(&reason))?;
        let guide = Guide::new(matcher.clone());
        self.keep(key, matcher);
        Ok(guide)
    }

    fn compile(&self, constraint: &Constraint) -> Result<Matcher, String> {
        let factory = self.factory.get_or_init(|| factory(&self.text)).as_ref()?;
        let grammar = match constraint {
            Constraint::JsonObject => schema_grammar(&json!({"type": "object"})),
            Constraint::JsonSchema(schema) => schema_grammar(schema),
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        };
        let parser = factory
            .create_parser(grammar)
            .map_err(|error| format!("{error:#}"))?;
        let mut matcher = Matcher::new(Ok(parser));
        // The first mask shows grammars that can be compiled but accept nothing, or are too complex.
        matcher
            .compute_mask_or_eos()
            .map_err(|error| format!("{error:#}"))?;
        match matcher.get_error() {
            Some(reason) => Err(reason),
            None => Ok(matcher),
        }
    }

    fn recall(&self, key: &str) -> Option<Matcher> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        let (matcher, used) = kept.matchers.get_mut(key)?;
        *used = now;
        Some(matcher.clone())
    }

    fn keep(&self, key: String, matcher: Matcher) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        if kept.matchers.len() >= MAX_KEPT {
            let oldest = kept.matchers.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                kept.matchers.remove(&oldest);
            }
        }
        kept.matchers.insert(key, (matcher, now));
    }
}

/// Says, token by token, what one answer may go on with.
pub(crate) struct Guide {
    matcher: Matcher,
    /// What is allowed next, once it was computed.
    mask: Option<Result<SimpleVob, GenerateError>>,
}

impl Guide {
    fn new(matcher: Matcher) -> Self {
        Self {
            matcher,
            mask: None,
        }
    }

    /// Computes what is allowed next, so that [`Guide::mask`] has it at hand.
    pub(crate) fn prepare(&mut self) {
        if self.mask.is_none() {
            let mask = self.matcher.compute_mask_or_eos();
            self.mask = Some(mask.map_err(|error| failure(&error.to_string())));
        }
    }

    /// What is allowed next.
    pub(crate) fn mask(&mut self) -> Result<&SimpleVob, GenerateError> {
        self.prepare();
        match &self.mask {
            Some(Ok(mask)) => Ok(mask),
            Some(Err(error)) => Err(error.clone()),
            None => Err(failure("no mask")),
        }
    }

    /// Goes on by `token`; says whether the answer is complete and nothing may follow.
    pub(crate) fn accept(&mut self, token: u32) -> Result<bool, GenerateError> {
        self.mask = None;
        let consumed = self.matcher.consume_token(token);
        consumed.map_err(|error| failure(&error.to_string()))?;
        Ok(self.matcher.is_stopped())
    }
}

fn failure(reason: &str) -> GenerateError {
    GenerateError::Constraint {
        reason: shorten(reason),
    }
}

/// The beginning of a reason; llguidance appends the grammar and its own state to it.
fn shorten(reason: &str) -> String {
    let end = reason.find("\n<").unwrap_or(reason.len());
    let reason = match reason[..end].trim() {
        // llguidance's name of it.
        "NoExtensionBias" => "no answer can satisfy it",
        reason => reason,
    };
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// The grammar of a schema, with our white space unless the schema says otherwise itself.
fn schema_grammar(schema: &Value) -> TopLevelGrammar {
    let mut schema = match schema {
        // `true` accepts everything.
        Value::Bool(true) => json!({}),
        schema => schema.clone(),
    };
    if let Some(fields) = schema.as_object_mut() {
        fields
            .entry("x-guidance")
            .or_insert_with(|| json!({"whitespace_pattern": JSON_BLANKS}));
    }
    TopLevelGrammar::from_json_schema(schema)
}

fn factory(text: &Arc<Text>) -> Result<ParserFactory, String> {
    let trie = trie(text);
    let environment: toktrie::TokEnv = Arc::new(Environment { trie });
    let mut factory = ParserFactory::new_simple(&environment).map_err(|error| error.to_string())?;
    factory.quiet();
    factory.limits_mut().verbose_errors = false;
    Ok(factory)
}

/// All tokens by their bytes; special ones can't be spelled by a grammar's text.
fn trie(text: &Text) -> TokTrie {
    let words: Vec<Vec<u8>> = (0..text.n_tokens() as u32)
        .map(|id| {
            let bytes = text.token_bytes(id);
            if bytes.len() > MAX_TOKEN_BYTES {
                Vec::new()
            } else if text.is_special(id) {
                [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes.as_slice()].concat()
            } else if bytes.first() == Some(&TokTrie::SPECIAL_TOKEN_MARKER) {
                Vec::new()
            } else {
                bytes
            }
        })
        .collect();
    let n_tokens = words.len() as u32;
    let eos: Vec<u32> = text
        .special()
        .eos
        .iter()
        .copied()
        .filter(|&eos| eos < n_tokens)
        .collect();
    let first = eos.first().copied().unwrap_or(INVALID_TOKEN);
    let trie = TokTrie::from(&TokRxInfo::new(n_tokens, first), &words);
    if eos.is_empty() {
        trie
    } else {
        trie.with_eos_tokens(&eos)
    }
}

struct Environment {
    trie: TokTrie,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.greedy_tokenize(bytes)
    }

    /// The model chooses among all ways to spell a text; none is forced upon it.
    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}
