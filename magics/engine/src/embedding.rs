//! Texts and images as rows of numbers, by a model from a directory.

mod batch;
mod bert;
mod clip;
mod gpu;
mod info;
mod modern;
mod nomic;
mod pixels;
mod pool;
mod settings;
mod share;
#[cfg(test)]
mod tests;
mod tokens;
mod transformer;
mod weights;

use std::fmt;
use std::path::Path;

use clip::Clip;
#[cfg(feature = "cuda")]
pub use gpu::try_gpu;
pub use info::{EncoderInfo, Family, Pooling};
use rayon::prelude::*;
use settings::{Kind, SentenceSettings, read_json};
use share::{Counts, Portion, Space};
use tokens::{Sequence, Tokens};
use transformer::Transformer;
use weights::Weights;

use crate::compute::Layers;
use crate::error::EngineError;
use crate::watch::Watch;

/// A model that turns texts (and images, when it is a CLIP) into vectors.
pub struct Encoder {
    info: EncoderInfo,
    tokens: Tokens,
    /// Token ids that the model knows.
    n_known: usize,
    model: Model,
}

enum Model {
    Text(Box<Transformer>),
    Clip(Box<Clip>),
}

/// Rows of numbers, one a text or image.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Values of one row.
    pub n_dims: usize,
    /// All rows, one after the other.
    pub values: Vec<f32>,
    /// Tokens (or patches of images) that the model saw, special ones included.
    pub n_tokens: u64,
    /// Texts that were longer than the model takes, and were cut.
    pub n_truncated: usize,
}

impl Encoder {
    /// Reads a model directory: settings, tokenizer and weights, as sentence-transformers or transformers save them.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, EngineError> {
        let directory = directory.as_ref();
        // Tells a directory that isn't there from one that isn't a model.
        std::fs::read_dir(directory).map_err(|source| EngineError::File {
            path: directory.to_owned(),
            source,
        })?;
        let kind: Kind = read_json(&directory.join("config.json"))?;
        let Some(family) = Family::of(&kind.model_type) else {
            return Err(EngineError::NotServed {
                directory: directory.to_owned(),
                model_type: kind.model_type,
                served: Family::SERVED,
            });
        };
        let weights = Weights::open(directory)?;
        let text = |model| Model::Text(Box::new(model));
        let model = match family {
            Family::Clip => Model::Clip(Box::new(Clip::open(directory, &weights)?)),
            Family::NomicBert => text(nomic::open(directory, &weights)?),
            Family::ModernBert => text(modern::open(directory, &weights)?),
            Family::Bert | Family::Roberta | Family::XlmRoberta => {
                text(bert::open(directory, family, &weights)?)
            }
        };
        let mut sentence = SentenceSettings::read(directory, model.n_positions())?;
        if family == Family::Clip {
            sentence.pooling = Pooling::End;
            sentence.normalise = true;
        }
        let tokens = Tokens::open(directory, &sentence)?;
        let (given, known) = (tokens.vocabulary(), model.vocabulary());
        if given > known {
            return Err(EngineError::Tokenizer {
                path: tokens.path().to_owned(),
                what: format!("it has {given} tokens, and the model only knows {known}"),
            });
        }
        let info = EncoderInfo {
            name: info::name(directory, &kind.origin),
            family,
            n_dims: model.n_dims(),
            max_tokens: sentence.max_tokens,
            n_parameters: weights.n_parameters(),
            n_bytes: model.n_bytes() as u64,
            pooling: sentence.pooling,
            prompt: sentence.prompt,
            normalised: sentence.normalise,
            images: family == Family::Clip,
        };
        Ok(Self {
            info,
            tokens,
            n_known: known,
            model,
        })
    }

    /// What is known of the model.
    pub fn info(&self) -> &EncoderInfo {
        &self.info
    }

    /// Tokens of a text with the special ones, before anything is cut.
    pub fn count(&self, text: &str) -> Result<usize, EngineError> {
        self.tokens.count(text)
    }

    /// One row a text, in the order of the texts.
    ///
    /// On the processor a text has the same bits alone, in any company and order, and for any number of threads. The work is
    /// shared out in the rayon pool of the caller; `watch` hears of each share and can stop it: within 100 ms on the
    /// processor, on a GPU before the next share.
    pub fn encode<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        watch: &dyn Watch,
    ) -> Result<Embeddings, EngineError> {
        let sizes = texts.iter().map(|text| self.tokens.estimate(text.as_ref()));
        let (portion, n_dims) = (self.model.portion(), self.info.n_dims);
        let told = (watch, "texts");
        if self.model.is_on_processor() {
            return share::out(sizes, portion, n_dims, told, |range, rows, space| {
                let read = texts[range]
                    .iter()
                    .map(|text| self.tokens.sequence(text.as_ref()));
                let sequences = read.collect::<Result<Vec<_>, _>>()?;
                let counts = self.encode_share(&sequences, rows, space, watch)?;
                self.finish(rows);
                Ok(counts)
            });
        }
        // The card is given as much as keeps it busy, one share after the other; meanwhile the processor reads the next.
        let mut found = share::in_turns(
            sizes,
            portion,
            n_dims,
            told,
            |range| {
                let read = texts[range]
                    .par_iter()
                    .map(|text| self.tokens.sequence(text.as_ref()));
                read.collect::<Result<Vec<_>, _>>()
            },
            |sequences, rows, space| self.encode_share(&sequences, rows, space, watch),
        )?;
        self.finish_all(&mut found.values);
        Ok(found)
    }

    fn encode_share(
        &self,
        sequences: &[Sequence],
        rows: &mut [f32],
        space: &mut Space,
        watch: &dyn Watch,
    ) -> Result<Counts, EngineError> {
        let ids: Vec<&[u32]> = sequences.iter().map(|one| &one.ids[..]).collect();
        let mut rest = rows;
        for batch in share::batches(&ids, self.model.portion()) {
            let (rows, after) = rest.split_at_mut(batch.len() * self.info.n_dims);
            self.encode_batch(batch, rows, space, watch)?;
            rest = after;
        }
        Ok(Counts {
            n_tokens: ids.iter().map(|ids| ids.len() as u64).sum(),
            n_truncated: sequences.iter().filter(|one| one.truncated).count(),
        })
    }

    /// One row a picture, given as the bytes of its file (PNG, JPEG or WebP), in their order, in the space of the texts.
    ///
    /// Only CLIP models read pictures. One that can't be decoded ends the work and is named by its number.
    pub fn encode_pictures<B: AsRef<[u8]> + Sync>(
        &self,
        pictures: &[B],
        watch: &dyn Watch,
    ) -> Result<Embeddings, EngineError> {
        let Model::Clip(clip) = &self.model else {
            return Err(EngineError::NoImages {
                name: self.info.name.clone(),
            });
        };
        let n_tokens = clip.pixels.n_patches() + 1;
        let sizes = pictures.iter().map(|_| n_tokens);
        let (n_dims, told) = (self.info.n_dims, (watch, "images"));
        let read = |number: usize, patches: &mut Vec<f32>| {
            if watch.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let read = clip.pixels.read(pictures[number].as_ref(), patches);
            read.map_err(|what| EngineError::Picture { number, what })
        };
        let counts = |rows: &[f32]| Counts {
            n_tokens: (rows.len() / n_dims * n_tokens) as u64,
            n_truncated: 0,
        };
        if self.model.is_on_processor() {
            return share::out(sizes, Portion::CORE, n_dims, told, |range, rows, space| {
                space.patches.clear();
                for number in range {
                    read(number, &mut space.patches)?;
                }
                space.x.clear();
                clip.embed(&space.patches, &mut space.x);
                let Space { x, scratch, .. } = space;
                clip.images(x, rows, scratch, &|| watch.cancelled())?;
                self.finish(rows);
                Ok(counts(rows))
            });
        }
        let mut found = share::in_turns(
            sizes,
            Portion::gpu(clip.image_width()),
            n_dims,
            told,
            |range| {
                // Most of the work is to decode them, which each core does for itself.
                let one = |number: usize| {
                    let (mut patches, mut x) = (Vec::new(), Vec::new());
                    read(number, &mut patches)?;
                    clip.embed(&patches, &mut x);
                    Ok(x)
                };
                range
                    .into_par_iter()
                    .map(one)
                    .collect::<Result<Vec<_>, _>>()
            },
            |vectors, rows, space| {
                let mut x = vectors.concat();
                clip.images(&mut x, rows, &mut space.scratch, &|| watch.cancelled())?;
                Ok(counts(rows))
            },
        )?;
        self.finish_all(&mut found.values);
        Ok(found)
    }

    /// As [`Self::finish`], by all threads.
    fn finish_all(&self, values: &mut [f32]) {
        let rows = values.par_chunks_mut((64 * self.info.n_dims).max(1));
        rows.for_each(|rows| self.finish(rows));
    }

    fn finish(&self, rows: &mut [f32]) {
        if self.info.normalised {
            for row in rows.chunks_exact_mut(self.info.n_dims) {
                pool::normalise(row);
            }
        }
    }
}

impl Model {
    fn n_dims(&self) -> usize {
        match self {
            Self::Text(model) => model.width(),
            Self::Clip(clip) => clip.n_dims(),
        }
    }

    /// The layers that read texts; others are on the same device.
    fn layers(&self) -> &Layers {
        match self {
            Self::Text(model) => &model.layers,
            Self::Clip(clip) => clip.text_layers(),
        }
    }

    fn is_on_processor(&self) -> bool {
        matches!(self.layers(), Layers::Processor(_))
    }

    /// Tokens of texts that it reads together.
    fn portion(&self) -> Portion {
        match self.layers() {
            Layers::Processor(_) => Portion::CORE,
            layers => Portion::gpu(layers.width()),
        }
    }

    fn n_positions(&self) -> usize {
        match self {
            Self::Text(model) => model.n_positions,
            Self::Clip(clip) => clip.n_positions(),
        }
    }

    fn vocabulary(&self) -> usize {
        match self {
            Self::Text(model) => model.vocabulary(),
            Self::Clip(clip) => clip.vocabulary(),
        }
    }

    fn n_bytes(&self) -> usize {
        match self {
            Self::Text(model) => model.n_bytes(),
            Self::Clip(clip) => clip.n_bytes(),
        }
    }
}

impl Embeddings {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.values.len().checked_div(self.n_dims).unwrap_or(0)
    }

    /// One row; panics when there is none of this number, like a slice.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_dims..][..self.n_dims]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.n_dims.max(1))
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoder").field(&self.info).finish()
    }
}
