//! Counts the tokens of texts and messages as the models' own encodings do.

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// Tokens around every message of a chat, and once more before the answer.
const CHAT_OVERHEAD: usize = 3;

/// Most white-space characters in a row that an encoder gets. At half a million, its regular expressions run out of
/// stack and it panics; shorter runs are counted whole.
const LONGEST_GAP: usize = 100_000;

/// How many tokens a text has for a model, and the name of the encoding that says so.
///
/// Of models whose encoding is not public (see [`is_exact`]), the count is an estimate, by `o200k_base`. An encoder is
/// built when it is first needed, which takes up to a quarter of a second, and is kept.
pub fn tokens(model: &str, text: &str) -> (usize, &'static str) {
    let encoding = Encoding::of(model);
    (encoding.count(text), encoding.name())
}

/// How many tokens a chat's prompt has for a model, and the name of the encoding that says so. Messages are pairs of
/// role and content.
pub fn messages(model: &str, messages: &[(&str, &str)]) -> (usize, &'static str) {
    let encoding = Encoding::of(model);
    let inside: usize = messages
        .iter()
        .map(|(role, content)| encoding.count(role) + encoding.count(content))
        .sum();
    (
        inside + CHAT_OVERHEAD * (messages.len() + 1),
        encoding.name(),
    )
}

/// Whether a model's own encoding is known, so that counts are no estimates.
pub fn is_exact(model: &str) -> bool {
    published(model).is_some()
}

/// The encodings that differ on ordinary text. Those left out have other special tokens only.
#[derive(Clone, Copy)]
enum Encoding {
    O200k,
    Cl100k,
    P50k,
    R50k,
}

impl Encoding {
    fn of(model: &str) -> Self {
        match published(model) {
            Some(Tokenizer::Cl100kBase) => Self::Cl100k,
            Some(Tokenizer::P50kBase | Tokenizer::P50kEdit) => Self::P50k,
            Some(Tokenizer::R50kBase | Tokenizer::Gpt2) => Self::R50k,
            Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) | None => Self::O200k,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
            Self::P50k => "p50k_base",
            Self::R50k => "r50k_base",
        }
    }

    /// The encoder, built once by `tiktoken-rs`.
    fn encoder(self) -> &'static CoreBPE {
        match self {
            Self::O200k => tiktoken_rs::o200k_base_singleton(),
            Self::Cl100k => tiktoken_rs::cl100k_base_singleton(),
            Self::P50k => tiktoken_rs::p50k_base_singleton(),
            Self::R50k => tiktoken_rs::r50k_base_singleton(),
        }
    }

    /// Special tokens such as `<|endoftext|>` count as the ordinary text that they are in a request.
    fn count(self, text: &str) -> usize {
        let encoder = self.encoder();
        let (mut total, mut start, mut gap) = (0, 0, 0);
        for (at, letter) in text.char_indices() {
            gap = if letter.is_whitespace() { gap + 1 } else { 0 };
            if gap > LONGEST_GAP {
                total += encoder.count_ordinary(&text[start..at]);
                (start, gap) = (at, 1);
            }
        }
        total + encoder.count_ordinary(&text[start..])
    }
}

/// The tokenizer that is published for a model, whoever serves it.
fn published(model: &str) -> Option<Tokenizer> {
    let name = model.trim().to_lowercase();
    let name = name
        .rsplit_once('/')
        .map_or(name.as_str(), |(_, name)| name);
    get_tokenizer(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_their_own_encoding() {
        for (encoding, exact, models) in [
            (
                "o200k_base",
                true,
                &[
                    "gpt-4o",
                    "GPT-4o-mini",
                    "gpt-4.1",
                    "gpt-5-mini",
                    "o3",
                    "o1-pro",
                    "ft:gpt-4o:me",
                    "openai/gpt-oss-20b",
                ][..],
            ),
            (
                "o200k_base",
                false,
                &["gpt-6-luna", "claude-haiku-4-5", "Qwen/Qwen3-8B", ""],
            ),
            (
                "cl100k_base",
                true,
                &[
                    "gpt-4",
                    "gpt-4-0613",
                    "openai/gpt-3.5-turbo-16k",
                    "text-embedding-3-small",
                ],
            ),
            ("p50k_base", true, &["text-davinci-003"]),
            ("r50k_base", true, &["davinci"]),
        ] {
            for model in models {
                assert_eq!(
                    (Encoding::of(model).name(), is_exact(model)),
                    (encoding, exact),
                    "{model}"
                );
            }
        }
    }

    #[test]
    fn one_text_costs_different_models_different_tokens() {
        let text = "Der Wirtschaftsprüfer gründete 2005 in Zürich eine Aktiengesellschaft.\n    return  { 日本語 }";
        let counts =
            ["gpt-5-mini", "gpt-4", "text-davinci-003", "davinci"].map(|model| tokens(model, text));
        assert_eq!(
            counts,
            [
                (22, "o200k_base"),
                (32, "cl100k_base"),
                (39, "p50k_base"),
                (41, "r50k_base")
            ]
        );
    }

    #[test]
    fn the_same_text_has_two_prices_at_two_models() {
        use crate::price::{PriceLists, Usage, cost};
        let lists = PriceLists::built_in().unwrap();
        let text = "Zürich ist die größte Stadt der Schweiz. ".repeat(1000);
        let [old, new] = ["text-davinci-003", "gpt-5-mini"].map(|model| {
            let (prompt, encoding) = tokens(model, &text);
            let price = lists.find(model, "2026-11-24".parse().unwrap()).unwrap().1;
            let usage = Usage {
                prompt: prompt as u64,
                ..Usage::default()
            };
            (encoding, format!("{:.6}", cost(price, &usage, false)))
        });
        assert_eq!(old, ("p50k_base", "0.340020".to_owned()));
        assert_eq!(new, ("o200k_base", "0.002001".to_owned()));
    }

    #[test]
    fn counts_are_tiktokens() {
        assert_eq!(tokens("gpt-4", "tiktoken is great!").0, 6);
        assert_eq!(tokens("gpt-4o", "").0, 0);
        assert_eq!(tokens("gpt-4", "<|endoftext|>").0, 7);
    }

    #[test]
    fn messages_have_an_overhead() {
        // One token for each role, 6 + 3 for the contents, 3 around each message and 3 before the answer.
        let chat = [("system", "tiktoken is great!"), ("user", "Hello, world")];
        assert_eq!(messages("gpt-4", &chat), (20, "cl100k_base"));
        assert_eq!(messages("gpt-4", &[]).0, 3);
    }

    #[test]
    fn long_gaps_are_counted() {
        for model in ["gpt-4o", "gpt-4", "text-davinci-003"] {
            let gap = format!("x{}y", " ".repeat(1_000_000));
            assert!(tokens(model, &gap).0 > 2, "{model}");
        }
        let gap = format!("x{}y", " ".repeat(90_000));
        assert_eq!(
            tokens("gpt-4", &gap).0,
            Encoding::Cl100k.encoder().count_ordinary(&gap)
        );
    }
}
