//! Text to tokens and back: the tokenizer, what each token spells, the chat template, and where an answer ends.

mod files;
mod stream;
mod template;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::path::Path;

use serde_json::Value;
pub(crate) use stream::Stream;
use template::Template;
use tokenizers::Tokenizer;
use vocabulary::Vocabulary;

use crate::GenerateError;

/// Tokens with which many families end a turn, whether their files say so or not; taken as ends where the tokenizer has
/// them as added tokens.
const ENDS_OF_TURN: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<|return|>",
];

/// Where a text is cut so that a special token in it is read as a text: a character that means nothing anywhere.
const CUT: char = '\u{FDD0}';

/// What a tokenizer does not say by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Special {
    /// Token that begins a text.
    pub bos: Option<u32>,
    /// Tokens that end an answer; well-known ends of turn that the tokenizer has are added to them.
    pub eos: Vec<u32>,
    /// Whether `encode` puts `bos` first when special tokens are wanted and the tokenizer does not do it.
    pub add_bos: bool,
    /// The conversation's form, in Jinja.
    pub chat_template: Option<String>,
    /// How the template writes `bos_token`.
    pub bos_token: String,
    /// How the template writes `eos_token`.
    pub eos_token: String,
}

/// A model's tokenizer and everything about its text.
#[derive(Debug)]
pub struct Text {
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    special: Special,
    template: Option<Template>,
    /// How special tokens are written, in order.
    marks: Vec<String>,
    longest_token: usize,
}

impl Text {
    /// A tokenizer together with what it doesn't say itself. A template that can't be read is an error only once it is
    /// used.
    pub fn from_tokenizer(mut tokenizer: Tokenizer, mut special: Special) -> Self {
        // Limits on length are the engine's affair; a tokenizer that pads or cuts would change the prompt.
        tokenizer.with_padding(None);
        // Only a limit could be wrong, and there is none.
        let _ = tokenizer.with_truncation(None);
        for (id, added) in tokenizer.get_added_tokens_decoder() {
            if ENDS_OF_TURN.contains(&added.content.as_str()) {
                special.eos.push(id);
            }
        }
        special.eos.sort_unstable();
        special.eos.dedup();
        let template = special
            .chat_template
            .as_deref()
            .map(|source| Template::new(source, &special));
        let vocabulary = Vocabulary::new(&tokenizer);
        Self {
            longest_token: vocabulary.longest(),
            vocabulary,
            marks: marks(&tokenizer),
            tokenizer,
            template,
            special,
        }
    }

    /// Reads `tokenizer.json`, and what there is of `tokenizer_config.json`, `special_tokens_map.json`,
    /// `generation_config.json`, `config.json`, `chat_template.jinja` and `chat_template.json`, in a model's directory.
    pub fn read(directory: &Path) -> Result<Self, GenerateError> {
        let path = directory.join("tokenizer.json");
        let tokenizer = Tokenizer::from_file(&path).map_err(|error| GenerateError::Tokenizer {
            reason: format!("`{}`: {error}", path.display()),
        })?;
        let special = files::special(directory, &tokenizer)?;
        Ok(Self::from_tokenizer(tokenizer, special))
    }

    /// The tokens of `text`; `add_special` adds those that the model wants around a text, e.g. at its beginning. The
    /// output of [`Text::chat`] has them already.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, GenerateError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, add_special)
            .map_err(|error| GenerateError::Tokenizer {
                reason: error.to_string(),
            })?;
        let mut ids = encoding.get_ids().to_vec();
        if let Some(bos) = self.special.bos
            && add_special
            && self.special.add_bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// The text of whole `tokens`, without special ones; what is no UTF-8 becomes U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut stream = Stream::new(Vec::new(), self.strips_first_space());
        let mut text = String::new();
        for &token in tokens {
            text.push_str(&stream.push(self.spelling(token)));
        }
        text.push_str(&stream.finish());
        text
    }

    /// Why the model's chat template is of no use, where it has one that is not.
    pub fn template_problem(&self) -> Option<String> {
        self.template.as_ref()?.problem()
    }

    /// The conversation as the model's template writes it. `messages` are those of OpenAI's API; `options` is an object
    /// whose fields the template sees, `add_generation_prompt` (true unless given) and `tools` among them.
    pub fn chat(&self, messages: &[Value], options: &Value) -> Result<String, GenerateError> {
        let template = self
            .template
            .as_ref()
            .ok_or_else(|| GenerateError::Template {
                reason: "the model has none; complete a text instead, or choose a model for chats"
                    .into(),
            })?;
        template.render(messages, options)
    }

    /// The tokens of the conversation. Only the template writes special tokens: where one stands in a message, such as
    /// `<|im_end|>` in a document that is read, it is a text like any other and ends no turn.
    pub fn chat_tokens(
        &self,
        messages: &[Value],
        options: &Value,
    ) -> Result<Vec<u32>, GenerateError> {
        let mut messages = messages.to_vec();
        let mut is_cut = false;
        for message in &mut messages {
            for field in ["content", "name"] {
                if let Some(text) = message[field].as_str()
                    && let Some(cut) = self.cut(text)
                {
                    message[field] = cut.into();
                    is_cut = true;
                }
            }
        }
        let conversation = self.chat(&messages, options)?;
        if !is_cut {
            return self.encode(&conversation, false);
        }
        let mut tokens = Vec::new();
        for piece in conversation.split(CUT) {
            tokens.extend(self.encode(piece, false)?);
        }
        Ok(tokens)
    }

    /// `text` with a cut after the first character of each special token, if there is one.
    fn cut(&self, text: &str) -> Option<String> {
        let mut cut = None;
        for mark in &self.marks {
            let whole = cut.as_deref().unwrap_or(text);
            let first = mark.chars().next().map_or(0, char::len_utf8);
            if whole.contains(mark.as_str()) {
                let apart = format!("{}{CUT}{}", &mark[..first], &mark[first..]);
                cut = Some(whole.replace(mark.as_str(), &apart));
            }
        }
        cut
    }

    /// Bytes of the longest token, at least 1.
    pub fn longest_token(&self) -> usize {
        self.longest_token
    }

    /// Whether the model has a chat template.
    pub fn has_template(&self) -> bool {
        self.template.is_some()
    }

    /// The bytes that a token spells; those of a special token are its name's.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        self.vocabulary.bytes(id).to_vec()
    }

    /// Number of tokens, the highest id plus one.
    pub fn n_tokens(&self) -> usize {
        self.vocabulary.len()
    }

    /// What was read about the special tokens, ends of turn included.
    pub fn special(&self) -> &Special {
        &self.special
    }

    /// Whether `token` ends an answer.
    pub fn is_eos(&self, token: u32) -> bool {
        self.special.eos.binary_search(&token).is_ok()
    }

    /// What `token` adds to a text: nothing if it is special.
    pub(crate) fn spelling(&self, token: u32) -> &[u8] {
        if self.vocabulary.is_special(token) {
            return &[];
        }
        self.vocabulary.bytes(token)
    }

    pub(crate) fn is_special(&self, token: u32) -> bool {
        self.vocabulary.is_special(token)
    }

    /// The answer's text, token by token, after `prompt`.
    pub(crate) fn stream(&self, prompt: &[u32], stop: Vec<String>) -> Stream {
        // SentencePiece writes a space before the first word of a text, which is not part of it.
        let begins = prompt.iter().all(|&token| self.is_special(token));
        Stream::new(stop, begins && self.strips_first_space())
    }

    fn strips_first_space(&self) -> bool {
        self.vocabulary.strips_first_space()
    }
}

/// How the special tokens of more than one character are written.
fn marks(tokenizer: &Tokenizer) -> Vec<String> {
    let added = tokenizer.get_added_tokens_decoder().into_values();
    let mut marks: Vec<String> = added
        .filter(|token| token.special && token.content.chars().nth(1).is_some())
        .map(|token| token.content)
        .collect();
    marks.sort_unstable();
    marks
}
