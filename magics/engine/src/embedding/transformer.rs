//! From token ids to vectors: what BERT and all that came after it have in common.

use std::path::Path;

use super::settings::unusable;
use super::weights::Weights;
use super::{Pooling, pool};
use crate::compute::{Halt, Input, LayerNorm, Layers, Parts, Place, Scratch, Wanted};
use crate::error::EngineError;

/// Positions at most: settings that say more are damaged, and the angles of rotary positions would fill the memory.
const MOST_POSITIONS: usize = 1 << 20;

/// An encoder of token ids.
pub(super) struct Transformer {
    /// vocabulary × width.
    pub(super) words: Vec<f32>,
    /// Positions × width, added to the words; empty where the layers know positions.
    pub(super) positions: Vec<f32>,
    /// Longest sequence it can take.
    pub(super) n_positions: usize,
    /// Normalisation of the layers' input.
    pub(super) norm: LayerNorm,
    /// The layers.
    pub(super) layers: Layers,
    /// Normalisation of the layers' result.
    pub(super) last_norm: Option<LayerNorm>,
}

impl Transformer {
    /// Values of one token.
    pub(super) fn width(&self) -> usize {
        self.layers.width()
    }

    /// Number of ids it knows, while it is on the processor.
    pub(super) fn vocabulary(&self) -> usize {
        self.words.len() / self.width()
    }

    /// Bytes of memory that it takes.
    pub(super) fn n_bytes(&self) -> usize {
        let tables = self.words.len() + self.positions.len();
        let norms = [&self.norm].into_iter().chain(&self.last_norm);
        4 * tables + norms.map(LayerNorm::n_bytes).sum::<usize>() + self.layers.n_bytes()
    }

    /// Moves all but the tokenizer from the processor to another place.
    pub(super) fn move_to(&mut self, place: &Place) -> candle_core::Result<()> {
        let Some(stack) = self.layers.stack() else {
            return Ok(());
        };
        self.layers = place.layers(&Parts {
            words: Some(&self.words),
            positions: &self.positions,
            norm: Some(&self.norm),
            stack,
            last_norm: self.last_norm.as_ref(),
            projection: None,
        })?;
        if self.layers.tower().is_some() {
            // They are there, too, and no longer read from here.
            (self.words, self.positions) = (Vec::new(), Vec::new());
        }
        Ok(())
    }

    /// One row a sequence, none of which is empty.
    pub(super) fn vectors(
        &self,
        sequences: &[&[u32]],
        pooling: Pooling,
        rows: &mut [f32],
        (x, scratch): (&mut Vec<f32>, &mut Scratch),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        if let Some(tower) = self.layers.tower() {
            let firsts = firsts(sequences);
            let wanted = match pooling {
                Pooling::Cls => Wanted::Tokens(&firsts),
                _ => Wanted::Mean,
            };
            return tower.run(Input::Ids(sequences), wanted, rows, stop);
        }
        self.run(sequences, x, scratch, stop)?;
        let mut first = 0;
        for (ids, row) in sequences.iter().zip(rows.chunks_exact_mut(self.width())) {
            let tokens = &x[first * row.len()..][..ids.len() * row.len()];
            match pooling {
                Pooling::Cls => row.copy_from_slice(&tokens[..row.len()]),
                _ => pool::mean(tokens, row),
            }
            first += ids.len();
        }
        Ok(())
    }

    /// The last layer's vectors of all tokens, one sequence after the other, into `x`.
    pub(super) fn run(
        &self,
        sequences: &[&[u32]],
        x: &mut Vec<f32>,
        scratch: &mut Scratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        let width = self.width();
        x.clear();
        for ids in sequences {
            let start = x.len();
            for id in *ids {
                x.extend_from_slice(&self.words[*id as usize * width..][..width]);
            }
            for (value, position) in x[start..].iter_mut().zip(&self.positions) {
                *value += position;
            }
        }
        self.norm.apply(x);
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        self.layers.run(x, &lengths, scratch, stop)?;
        if let Some(norm) = &self.last_norm {
            norm.apply(x);
        }
        Ok(())
    }
}

/// Where sequences begin that stand one after the other.
pub(super) fn firsts(sequences: &[&[u32]]) -> Vec<u32> {
    let mut first = 0;
    let begin = |ids: &&[u32]| {
        first += ids.len() as u32;
        first - ids.len() as u32
    };
    sequences.iter().map(begin).collect()
}

/// The first of some prefixes under which the file has the tensor `name`; none if there is no such.
pub(super) fn prefix(weights: &Weights, prefixes: &[&'static str], name: &str) -> &'static str {
    let found = prefixes
        .iter()
        .find(|prefix| weights.has(&format!("{prefix}{name}")));
    found.copied().unwrap_or_default()
}

/// Values of one head, when `n_heads` can share `width`; `field` is the setting that says how many heads there are.
pub(super) fn head_dim(
    path: &Path,
    field: &str,
    width: usize,
    n_heads: usize,
) -> Result<usize, EngineError> {
    if n_heads == 0 || width == 0 || !width.is_multiple_of(n_heads) {
        let what = format!("{n_heads} heads cannot share {width}");
        return Err(unusable(path, field, what));
    }
    Ok(width / n_heads)
}

/// As [`head_dim`], for heads whose values are turned in pairs.
pub(super) fn rotary_dim(
    path: &Path,
    field: &str,
    width: usize,
    n_heads: usize,
) -> Result<usize, EngineError> {
    let dim = head_dim(path, field, width, n_heads)?;
    if dim.is_multiple_of(2) {
        return Ok(dim);
    }
    let what = format!("heads of {dim} values cannot be turned in pairs");
    Err(unusable(path, field, what))
}

/// Refuses numbers of positions that no angles can be kept for.
pub(super) fn check_positions(path: &Path, field: &str, n: usize) -> Result<(), EngineError> {
    if n > MOST_POSITIONS {
        let what = format!("{n} positions are more than {MOST_POSITIONS}");
        return Err(unusable(path, field, what));
    }
    Ok(())
}
