//! `%wordcloud`: what documents are about, at a glance.

use clap::Parser;

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::view::{CloudView, CloudWord, ToView, View};

const WIDTH: f32 = 900.0;
const HEIGHT: f32 = 460.0;

/// Show the words and phrases that documents are about, by weight
#[derive(Debug, Parser)]
pub(super) struct Wordcloud {
    /// Name of documents that `%corpus` read
    #[arg(default_value = "docs")]
    docs: ValueName,
    /// Number of words at most
    #[arg(long, default_value = "90")]
    limit: usize,
}

/// The words and where they stand.
pub(super) struct Cloud(CloudView);

impl Magic for Wordcloud {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &["%corpus articles --as docs"],
        cell: "%wordcloud docs",
        about: "the weightiest words and phrases",
        shows: "graph",
    }];
    type Outcome = Cloud;

    fn run(self, call: &mut Call) -> Result<Cloud, MagicError> {
        let corpus = call.session.documents(self.docs.as_str())?;
        let texts: Vec<&str> = corpus.documents.iter().map(|d| d.text.as_str()).collect();
        let mut weights = mlk8s_graph::words::weights(&texts);
        weights.truncate(self.limit);
        let Some(&(_, heaviest)) = weights.first() else {
            let message = format!("`{}` has no words to show", self.docs);
            return Err(MagicError::new(ErrorKind::Input, message));
        };
        let weight_of = |text: &str| {
            weights
                .iter()
                .find(|(word, _)| word == text)
                .map_or(0.0, |&(_, weight)| weight)
        };
        let placed = mlk8s_graph::words::place(&weights, WIDTH, HEIGHT);
        let words = placed.into_iter().map(|word| CloudWord {
            weight: weight_of(&word.text) / heaviest,
            text: word.text,
            x: word.x,
            y: word.y,
            size: word.size,
        });
        Ok(Cloud(CloudView {
            title: format!("{}: {} documents", self.docs, corpus.documents.len()),
            width: WIDTH,
            height: HEIGHT,
            words: words.collect(),
        }))
    }
}

impl ToView for Cloud {
    fn to_view(&self) -> View {
        View::Cloud(self.0.clone())
    }
}
