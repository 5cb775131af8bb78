//! The decoder on the processor: one step over packed rows.

use super::build::{Table, head};
use super::cache::Cache;
use super::layer::{Layer, Scratch};
use super::matrix::{Matrix, Product, multiply};
use super::reader::Reader;
use super::steps::{Angles, Norm, cap};
use crate::error::GenerateError;
use crate::forward::{Batch, Forward, Shape};
use crate::model::Precision;
use crate::model::batch::check;
use crate::model::description::Description;
use crate::model::instructions::Available;
use crate::model::weights::{Source, Weight, take};

/// A decoder with its weights and its cache in memory.
#[derive(Debug)]
pub(in crate::model) struct Decoder {
    with: Available,
    description: Description,
    shape: Shape,
    /// The table of embeddings, where it is not the head.
    table: Option<Table>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Matrix,
    caches: Vec<Cache>,
}

impl Decoder {
    /// Reads the weights, and will compute with these instructions; `progress` is told the bytes done, and all bytes.
    pub(in crate::model) fn new(
        description: Description,
        source: &dyn Source,
        precision: Precision,
        with: Available,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, GenerateError> {
        let all = source.n_bytes();
        let mut so_far = 0;
        progress(0, all);
        let mut done = |bytes: usize| {
            so_far = all.min(so_far + bytes as u64);
            progress(so_far, all);
        };
        let size = [description.vocabulary, description.hidden];
        let embedding = take(source, Weight::Embedding, 0, &size)?;
        let (table, head) = if description.tied {
            (None, head(&embedding, precision)?)
        } else {
            let weights = take(source, Weight::Head, 0, &size)?;
            (Some(Table::new(&embedding)?), head(&weights, precision)?)
        };
        done(embedding.bytes.len() * if description.tied { 1 } else { 2 });
        let mut reader = Reader {
            source,
            description: &description,
            precision,
            with,
            done: &mut done,
        };
        let norm = reader.norm(Weight::Norm, 0, description.hidden)?;
        let mut layers = Vec::new();
        for layer in 0..description.windows.len() {
            layers.push(reader.layer(layer)?);
        }
        let of_layer = Cache::bytes_per_token(description.n_kv_heads, description.head_dim);
        let shape = Shape {
            vocabulary: description.vocabulary,
            context: description.context,
            n_layers: layers.len(),
            bytes_per_token: layers.len() * of_layer,
        };
        progress(all, all);
        Ok(Self {
            with,
            description,
            shape,
            table,
            layers,
            norm,
            head,
            caches: Vec::new(),
        })
    }

    /// Bytes of the weights in memory.
    pub(in crate::model) fn n_bytes(&self) -> u64 {
        let table = self.table.as_ref().map_or(0, Table::n_bytes);
        let layers: usize = self.layers.iter().map(Layer::n_bytes).sum();
        (table + self.head.n_bytes() + layers) as u64
    }

    /// Weights, those that are used twice counted once.
    pub(in crate::model) fn n_parameters(&self) -> u64 {
        let table = if self.table.is_some() {
            self.head.n() * self.head.k()
        } else {
            0
        };
        let layers: usize = self.layers.iter().map(Layer::n_parameters).sum();
        (table + self.head.n() * self.head.k() + layers + self.norm.weight.len()) as u64
    }

    /// The format of most matrices.
    pub(in crate::model) fn precision(&self) -> String {
        self.layers
            .first()
            .map_or_else(String::new, |layer| layer.format().to_owned())
    }

    /// Normalised hidden states of the wanted rows.
    fn run(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        let n_pages = self.caches.first().map_or(0, Cache::n_pages);
        check(batch, n_pages, &self.shape)?;
        let hidden = self.description.hidden;
        let mut x = self.embed(&batch.tokens);
        let positions = batch
            .parts
            .iter()
            .flat_map(|part| part.length - part.len..part.length);
        let positions: Vec<usize> = positions.collect();
        let global = Angles::new(&self.description.rope, &positions);
        let local = self
            .description
            .local_rope
            .as_ref()
            .map(|rope| Angles::new(rope, &positions));
        let mut scratch = Scratch::new(&self.description, batch.tokens.len());
        for (layer, cache) in self.layers.iter().zip(&mut self.caches) {
            let angles = local
                .as_ref()
                .filter(|_| layer.is_local())
                .unwrap_or(&global);
            layer.apply(&mut x, &batch.parts, angles, cache, &mut scratch);
        }
        let mut wanted = vec![0.0; batch.rows.len() * hidden];
        for (row, into) in batch.rows.iter().zip(wanted.chunks_exact_mut(hidden)) {
            self.norm
                .apply(self.with, &x[row * hidden..][..hidden], into);
        }
        Ok(wanted)
    }

    /// Logits of the wanted rows.
    fn logits(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        let hidden = self.run(batch)?;
        let mut logits = vec![0.0; batch.rows.len() * self.shape.vocabulary];
        if !hidden.is_empty() {
            multiply(
                self.with,
                &hidden,
                &mut [Product {
                    matrix: &self.head,
                    bias: &[],
                    out: &mut logits,
                    add: false,
                }],
            );
        }
        if let Some(limit) = self.description.logit_cap {
            cap(self.with, &mut logits, limit);
        }
        Ok(logits)
    }

    fn embed(&self, tokens: &[u32]) -> Vec<f32> {
        let hidden = self.description.hidden;
        let mut x = vec![0.0; tokens.len() * hidden];
        for (token, into) in tokens.iter().zip(x.chunks_exact_mut(hidden)) {
            match &self.table {
                Some(table) => table.row(*token as usize, into),
                None => self.head.row(*token as usize, into),
            }
        }
        for x in &mut x {
            *x *= self.description.embedding_scale;
        }
        x
    }
}

impl Forward for Decoder {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn reserve(&mut self, n_pages: usize) -> Result<(), GenerateError> {
        self.caches.clear();
        let Description {
            n_kv_heads,
            head_dim,
            ..
        } = self.description;
        let caches = self
            .layers
            .iter()
            .map(|_| Cache::new(n_pages, n_kv_heads, head_dim));
        self.caches = caches.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn forward(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        // On a thread of the pool, which else would be asked, and waited for, at every product.
        rayon::scope(|_| self.logits(batch))
    }

    fn hidden(&mut self, batch: &Batch) -> Result<Vec<f32>, GenerateError> {
        rayon::scope(|_| self.run(batch))
    }
}
