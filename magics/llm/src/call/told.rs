//! What the ledger keeps of a request.

use serde_json::{Value, json};

use super::{Call, Kind, Message};

/// Letters by which a text is known again in the ledger.
const BEGINNING: usize = 60;

impl Call {
    /// The request as the ledger has it: its `body`, but of a picture only what kind it is and how large, and of a text that
    /// a process of this machine makes a vector of, only how it begins: that costs nothing, and may be a million times.
    pub(crate) fn told(&self, body: &Value) -> String {
        let own_text = self.kind == Kind::Embedding && self.endpoint.process.is_some();
        if self.kind != Kind::Pictures && !own_text {
            return body.to_string();
        }
        let brief = |message: &Message| {
            let content = &message.content;
            if own_text {
                return shortened(content).into();
            }
            let kind = content.split(',').next().unwrap_or_default();
            json!({ "image": format!("{kind},… ({} letters)", content.len()) })
        };
        let told: Vec<Value> = self.messages.iter().map(brief).collect();
        self.vectors(&told).to_string()
    }
}

/// How a text begins, and how long it is; a short one as it is.
fn shortened(text: &str) -> String {
    let n = text.chars().count();
    let begin: String = text.chars().take(BEGINNING).collect();
    let whole = n <= BEGINNING;
    if whole {
        begin
    } else {
        format!("{begin}… ({n} letters)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;
    use crate::endpoint::Process;

    #[test]
    fn texts_whose_vectors_cost_nothing_are_told_by_their_beginning() {
        let mut call = super::super::tests::call();
        call.kind = Kind::Embedding;
        call.messages[0].content = "ä".repeat(BEGINNING) + "end";
        let body = call.body(Form::Free, true, 0);
        assert_eq!(call.told(&body), body.to_string());
        call.endpoint.process = Process::of(std::process::id());
        let told = call.told(&body);
        assert!(
            told.contains("ää… (63 letters)") && !told.contains("end"),
            "{told}"
        );
    }
}
