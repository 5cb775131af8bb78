//! What a refusal for want of room says: how many tokens the model sees at once, and how many were asked for.

use std::fmt::Write as _;

/// Tokens of an answer below which `--max-tokens` is no way out any more.
const LEAST: u64 = 32;

/// The numbers of such a refusal, as far as the server has told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Tokens that the model sees at once.
    pub context: u64,
    /// Tokens of what it was to read.
    pub prompt: Option<u64>,
    /// Tokens that its answer could have had.
    pub answer: Option<u64>,
}

impl Room {
    /// Reads what a server says: ours, vLLM, OpenAI's, llama.cpp; nothing where it speaks of something else.
    pub fn read(message: &str) -> Option<Room> {
        let after = |marks: &[&str]| marks.iter().find_map(|mark| number_after(message, mark));
        let before = |marks: &[&str]| marks.iter().find_map(|mark| number_before(message, mark));
        Some(Room {
            context: after(&["context is ", "context length is ", "context size ("])?,
            prompt: before(&[" in the prompt", " in the messages", " input tokens"])
                .or_else(|| after(&["resulted in ", "the text has ", "request ("])),
            answer: before(&[" in the answer", " in the completion"])
                .or_else(|| after(&["too large: "])),
        })
    }

    /// What to type; `shorter` says how the prompt becomes shorter.
    pub fn way_out(&self, shorter: &str) -> String {
        let mut out = String::new();
        let left = self
            .prompt
            .map(|prompt| self.context.saturating_sub(prompt));
        match (self.prompt, left) {
            (Some(prompt), Some(left)) if left >= LEAST => {
                let _ = write!(
                    out,
                    "its context is full, not the answer: `--max-tokens {left}` is what fits beside {prompt} tokens; "
                );
            }
            (Some(prompt), Some(_)) => {
                let _ = write!(
                    out,
                    "{prompt} tokens of prompt alone fill its context, so a smaller `--max-tokens` does not help; "
                );
            }
            _ => out.push_str("a smaller `--max-tokens N` leaves less for the answer; "),
        }
        out.push_str(shorter);
        let prompt = self.prompt.unwrap_or(self.context);
        let answer = self.answer.unwrap_or(self.context / 4);
        let wanted = prompt
            .saturating_add(answer)
            .max(self.context.saturating_add(1));
        // A server may say any number, and no model reads one that has no power of two above it.
        if let Some(context) = wanted.checked_next_power_of_two() {
            let _ = write!(
                out,
                "; `%model load … --context {context}` makes room, where the model can read so much"
            );
        }
        out
    }
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    let rest = &text[text.find(mark)? + mark.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn number_before(text: &str, mark: &str) -> Option<u64> {
    let rest = &text[..text.find(mark)?];
    let begin = rest.rfind(|c: char| !c.is_ascii_digit());
    rest[begin.map_or(0, |at| at + 1)..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(message: &str) -> Option<(u64, Option<u64>, Option<u64>)> {
        Room::read(message).map(|room| (room.context, room.prompt, room.answer))
    }

    #[test]
    fn refusals_of_all_servers_are_read() {
        for (said, wanted) in [
            (
                "the model's context is 512 tokens, and 1640 were asked for: 616 in the prompt and 1024 in the answer",
                (512, Some(616), Some(1024)),
            ),
            (
                "the model's context is 512 tokens, and the text has 9000 tokens at least",
                (512, Some(9000), None),
            ),
            (
                "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens (1076 in the \
                 messages, 1024 in the completion). Please reduce the length.",
                (2048, Some(1076), Some(1024)),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 2048 \
                 tokens and your request has 1076 input tokens (1024 > 2048 - 1076).",
                (2048, Some(1076), Some(1024)),
            ),
            (
                "This model's maximum context length is 4097 tokens. However, your messages resulted in 5000 tokens.",
                (4097, Some(5000), None),
            ),
            (
                "request (616 tokens) exceeds the available context size (512 tokens), try increasing it",
                (512, Some(616), None),
            ),
        ] {
            assert_eq!(numbers(said), Some(wanted), "{said}");
        }
        assert_eq!(numbers("the context of this is unclear"), None);
    }

    #[test]
    fn what_to_type_follows_from_what_is_full() {
        let room = |prompt, answer| Room {
            context: 512,
            prompt,
            answer,
        };
        let said = room(Some(400), Some(1024)).way_out("`--fresh` begins anew");
        assert!(
            said.contains("`--max-tokens 112` is what fits") && said.contains("--context 2048"),
            "{said}"
        );
        let said = room(Some(616), Some(100)).way_out("`--fresh` begins anew");
        assert!(
            said.contains("616 tokens of prompt alone") && said.contains("`--fresh`"),
            "{said}"
        );
        assert!(said.contains("--context 1024"), "{said}");
        assert!(room(None, None).way_out("x").contains("--max-tokens N"));
        for room in [
            room(Some(u64::MAX), Some(u64::MAX)),
            Room {
                context: u64::MAX,
                ..Room::default()
            },
        ] {
            assert!(room.way_out("be brief").ends_with("be brief"), "{room:?}");
        }
    }
}
