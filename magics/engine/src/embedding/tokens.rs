//! Texts to token ids: no padding, cut at the model's limit, special tokens put back around what is left.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::Tokenizer;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

use super::settings::{SentenceSettings, read_json, read_json_if_there};
use crate::error::EngineError;

/// Bytes of a text looked at first, for each token that the model takes.
const BYTES_PER_TOKEN: usize = 64;

/// A tokenizer with the limits of its model.
pub(super) struct Tokens {
    path: PathBuf,
    tokenizer: Tokenizer,
    lowercase: bool,
    /// Stands before every text.
    prompt: String,
    /// Tokens of a text at most, with the special ones.
    limit: usize,
    before: Vec<u32>,
    after: Vec<u32>,
}

/// The ids of one text.
pub(super) struct Sequence {
    /// Token ids with the special ones.
    pub(super) ids: Vec<u32>,
    /// Whether something was cut off.
    pub(super) truncated: bool,
}

impl Tokens {
    /// Reads `tokenizer.json`, or else `vocab.txt`, of a model directory.
    pub(super) fn open(directory: &Path, sentence: &SentenceSettings) -> Result<Self, EngineError> {
        let max_tokens = sentence.max_tokens;
        let (path, mut tokenizer) = read(directory)?;
        let failed = |what: String| EngineError::Tokenizer {
            path: path.clone(),
            what,
        };
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| failed(error.to_string()))?;
        let [inner, whole] = [false, true].map(|special| ids(&tokenizer, "a", special));
        let (inner, whole) = (inner.map_err(failed)?, whole.map_err(failed)?);
        let start = whole
            .windows(inner.len().max(1))
            .position(|window| window == inner)
            .ok_or_else(|| failed("it cannot read the text `a`".to_owned()))?;
        let tokens = Self {
            before: whole[..start].to_vec(),
            after: whole[start + inner.len()..].to_vec(),
            path,
            tokenizer,
            lowercase: sentence.lowercase,
            prompt: sentence.prompt.clone(),
            limit: max_tokens,
        };
        if tokens.n_special() >= max_tokens {
            return Err(EngineError::Tokenizer {
                path: tokens.path,
                what: format!("{max_tokens} tokens leave no room for a text"),
            });
        }
        Ok(tokens)
    }

    /// Number of ids the tokenizer can give.
    pub(super) fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The file of the tokenizer.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The special tokens that stand after a text.
    pub(super) fn after(&self) -> &[u32] {
        &self.after
    }

    /// Tokens of a text with the special ones, before anything is cut.
    pub(super) fn count(&self, text: &str) -> Result<usize, EngineError> {
        Ok(self.inner(&self.prompted(text))?.len() + self.n_special())
    }

    /// Tokens of a text at most; a guess from its length, good enough to share out the work.
    pub(super) fn estimate(&self, text: &str) -> usize {
        ((self.prompt.len() + text.len()) / 4 + self.n_special()).min(self.limit)
    }

    /// The ids of a text, as the model takes them.
    pub(super) fn sequence(&self, text: &str) -> Result<Sequence, EngineError> {
        let most = self.limit - self.n_special();
        let mut inner = self.start(&self.prompted(text), most)?;
        let truncated = inner.len() > most;
        inner.truncate(most);
        Ok(Sequence {
            ids: [&self.before[..], &inner, &self.after].concat(),
            truncated,
        })
    }

    fn prompted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.prompt.is_empty() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(format!("{}{text}", self.prompt))
        }
    }

    /// More than `most` tokens of the text's start, or all of them.
    ///
    /// Of a long text only a beginning that ends before white space is read, which tokenizers split at anyway.
    fn start(&self, text: &str, most: usize) -> Result<Vec<u32>, EngineError> {
        let mut size = most * BYTES_PER_TOKEN;
        while size < text.len() {
            let beginning = &text[..text.floor_char_boundary(size)];
            if let Some(end) = beginning.rfind(char::is_whitespace) {
                let inner = self.inner(beginning[..end].trim_end())?;
                if inner.len() > most {
                    return Ok(inner);
                }
            }
            size *= 8;
        }
        self.inner(text)
    }

    fn inner(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let found = if self.lowercase {
            ids(&self.tokenizer, &text.to_lowercase(), false)
        } else {
            ids(&self.tokenizer, text, false)
        };
        found.map_err(|what| EngineError::Tokenizer {
            path: self.path.clone(),
            what,
        })
    }

    fn n_special(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

fn ids(tokenizer: &Tokenizer, text: &str, special: bool) -> Result<Vec<u32>, String> {
    match tokenizer.encode_fast(text, special) {
        Ok(encoding) => Ok(encoding.get_ids().to_vec()),
        Err(error) => Err(error.to_string()),
    }
}

fn read(directory: &Path) -> Result<(PathBuf, Tokenizer), EngineError> {
    let path = directory.join("tokenizer.json");
    if path.is_file() {
        let bytes = fs::read(&path).map_err(|source| EngineError::File {
            path: path.clone(),
            source,
        })?;
        return match Tokenizer::from_bytes(bytes) {
            Ok(tokenizer) => Ok((path, tokenizer)),
            Err(error) => Err(EngineError::Tokenizer {
                path,
                what: error.to_string(),
            }),
        };
    }
    let path = directory.join("vocab.txt");
    if path.is_file() {
        let tokenizer = word_piece(directory, &path)?;
        return Ok((path, tokenizer));
    }
    Err(EngineError::Missing {
        directory: directory.to_owned(),
        file: "tokenizer.json".to_owned(),
    })
}

/// What `tokenizer_config.json` says about a vocabulary of word pieces.
#[derive(Debug, Deserialize)]
struct WordPieceSettings {
    #[serde(default = "yes")]
    do_lower_case: bool,
    #[serde(default = "yes")]
    tokenize_chinese_chars: bool,
    #[serde(default)]
    strip_accents: Option<bool>,
}

fn yes() -> bool {
    true
}

/// BERT's own tokenizer, from its vocabulary alone.
fn word_piece(directory: &Path, path: &Path) -> Result<Tokenizer, EngineError> {
    let failed = |what: String| EngineError::Tokenizer {
        path: path.to_owned(),
        what,
    };
    let settings: WordPieceSettings =
        match read_json_if_there(&directory.join("tokenizer_config.json"))? {
            Some(settings) => settings,
            None => read_json(&directory.join("config.json"))?,
        };
    let model = WordPiece::from_file(&path.to_string_lossy())
        .unk_token("[UNK]".to_owned())
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let mut tokenizer = Tokenizer::new(model);
    let id = |token: &str| match tokenizer.token_to_id(token) {
        Some(id) => Ok((token.to_owned(), id)),
        None => Err(failed(format!("it has no token `{token}`"))),
    };
    let (sep, cls) = (id("[SEP]")?, id("[CLS]")?);
    let normalizer = BertNormalizer::new(
        true,
        settings.tokenize_chinese_chars,
        settings.strip_accents,
        settings.do_lower_case,
    );
    tokenizer
        .with_normalizer(Some(normalizer))
        .map_err(|error| failed(error.to_string()))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
    Ok(tokenizer)
}
