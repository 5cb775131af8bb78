//! A batch of texts on its way through a model, once they are token ids.

use super::share::Space;
use super::{Encoder, Model};
use crate::error::EngineError;
use crate::watch::Watch;

impl Encoder {
    /// One row a text of a batch, which is given as token ids.
    pub(super) fn encode_batch(
        &self,
        batch: &[&[u32]],
        rows: &mut [f32],
        space: &mut Space,
        watch: &dyn Watch,
    ) -> Result<(), EngineError> {
        // A tokenizer may have gaps: it counts fewer tokens than the model, and gives ids beyond them.
        let ids = batch.iter().flat_map(|ids| ids.iter());
        if let Some(id) = ids.copied().find(|id| *id as usize >= self.n_known) {
            return Err(EngineError::Tokenizer {
                path: self.tokens.path().to_owned(),
                what: format!(
                    "it gives token {id}, and the model only knows {}",
                    self.n_known
                ),
            });
        }
        if batch.iter().any(|ids| ids.is_empty()) {
            return self.encode_gaps(batch, rows, space, watch);
        }
        let Space { x, scratch, .. } = space;
        let stop = || watch.cancelled();
        match &self.model {
            Model::Text(model) => {
                model.vectors(batch, self.info.pooling, rows, (x, scratch), &stop)?;
            }
            Model::Clip(clip) => {
                let end = self.tokens.after().first().copied();
                clip.texts(batch, end, rows, (x, scratch), &stop)?;
            }
        }
        Ok(())
    }

    /// As [`Self::encode_batch`], where texts have no tokens, not even special ones: their rows are zeros.
    fn encode_gaps(
        &self,
        batch: &[&[u32]],
        rows: &mut [f32],
        space: &mut Space,
        watch: &dyn Watch,
    ) -> Result<(), EngineError> {
        let n_dims = self.info.n_dims;
        let some: Vec<&[u32]> = batch
            .iter()
            .copied()
            .filter(|ids| !ids.is_empty())
            .collect();
        let mut found = vec![0.0; some.len() * n_dims];
        if !some.is_empty() {
            self.encode_batch(&some, &mut found, space, watch)?;
        }
        let mut found = found.chunks_exact(n_dims);
        for (ids, row) in batch.iter().zip(rows.chunks_exact_mut(n_dims)) {
            if ids.is_empty() {
                row.fill(0.0);
            } else {
                row.copy_from_slice(found.next().unwrap_or_default());
            }
        }
        Ok(())
    }
}
