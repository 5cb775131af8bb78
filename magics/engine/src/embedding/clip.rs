//! CLIP (Radford et al. 2021): a tower for texts and one for images that meet in one space.

use std::path::Path;

use serde::Deserialize;

use super::pixels::Pixels;
use super::settings::{read_json, unusable};
use super::transformer::{firsts, head_dim};
use super::weights::Weights;
use crate::compute::{
    Activation, Finish, Halt, Heads, Input, Layer, LayerNorm, Layers, Linear, NormOrder, Parts,
    Place, Scratch, Sight, Stack, Wanted,
};
use crate::error::EngineError;

/// Both towers; rows are not normalised yet.
pub(super) struct Clip {
    words: Vec<f32>,
    text: Tower,
    class: Vec<f32>,
    patches: Linear,
    first_norm: LayerNorm,
    image: Tower,
    /// How images become pixels.
    pub(super) pixels: Pixels,
}

/// What texts and images have in common.
struct Tower {
    positions: Vec<f32>,
    layers: Layers,
    last_norm: LayerNorm,
    projection: Linear,
}

#[derive(Debug, Deserialize)]
struct Settings {
    text_config: TextSettings,
    vision_config: ImageSettings,
    #[serde(default = "base::projection")]
    projection_dim: usize,
}

#[derive(Debug, Deserialize)]
struct TextSettings {
    #[serde(default = "base::text_width")]
    hidden_size: usize,
    #[serde(default = "base::text_inner")]
    intermediate_size: usize,
    #[serde(default = "base::text_heads")]
    num_attention_heads: usize,
    #[serde(default = "base::layers")]
    num_hidden_layers: usize,
    #[serde(default = "base::positions")]
    max_position_embeddings: usize,
    #[serde(default = "base::vocabulary")]
    vocab_size: usize,
    #[serde(default = "base::activation")]
    hidden_act: String,
    #[serde(default = "base::epsilon")]
    layer_norm_eps: f64,
}

#[derive(Debug, Deserialize)]
struct ImageSettings {
    #[serde(default = "base::image_width")]
    hidden_size: usize,
    #[serde(default = "base::image_inner")]
    intermediate_size: usize,
    #[serde(default = "base::layers")]
    num_attention_heads: usize,
    #[serde(default = "base::layers")]
    num_hidden_layers: usize,
    #[serde(default = "base::image_size")]
    image_size: usize,
    #[serde(default = "base::patch")]
    patch_size: usize,
    #[serde(default = "base::activation")]
    hidden_act: String,
    #[serde(default = "base::epsilon")]
    layer_norm_eps: f64,
}

/// What settings mean when they are silent: the base model with patches of 32 pixels.
mod base {
    macro_rules! defaults {
        ($($name:ident = $value:literal),*) => { $(pub(super) fn $name() -> usize { $value })* };
    }
    defaults!(
        projection = 512,
        text_width = 512,
        text_inner = 2048,
        text_heads = 8,
        layers = 12,
        positions = 77
    );
    defaults!(
        vocabulary = 49408,
        image_width = 768,
        image_inner = 3072,
        image_size = 224,
        patch = 32
    );

    pub(super) fn activation() -> String {
        "quick_gelu".to_owned()
    }

    pub(super) fn epsilon() -> f64 {
        1e-5
    }
}

impl Clip {
    /// Reads settings and weights of a model directory.
    pub(super) fn open(directory: &Path, weights: &Weights) -> Result<Self, EngineError> {
        let file = directory.join("config.json");
        let settings: Settings = read_json(&file)?;
        let (text, image) = (&settings.text_config, &settings.vision_config);
        let (size, patch) = (image.image_size, image.patch_size);
        if patch == 0 || size < patch || !size.is_multiple_of(patch) {
            let what = format!("patches of {patch} pixels don't fill {size}");
            return Err(unusable(&file, "patch_size", what));
        }
        let n_patches = (size / patch) * (size / patch);
        let kernel = weights.tensor(
            "vision_model.embeddings.patch_embedding.weight",
            &[image.hidden_size, 3, patch, patch],
        )?;
        Ok(Self {
            words: weights.tensor(
                "text_model.embeddings.token_embedding.weight",
                &[text.vocab_size, text.hidden_size],
            )?,
            text: Shape::of_text(text).tower(&file, weights, settings.projection_dim)?,
            class: weights.tensor(
                "vision_model.embeddings.class_embedding",
                &[image.hidden_size],
            )?,
            patches: Linear::new(&kernel, &[], 3 * patch * patch),
            // The misspelling is the name that every published file has.
            first_norm: weights.norm(
                "vision_model.pre_layrnorm",
                image.hidden_size,
                image.layer_norm_eps,
            )?,
            image: Shape::of_image(image, n_patches).tower(
                &file,
                weights,
                settings.projection_dim,
            )?,
            pixels: Pixels::open(directory, size, patch)?,
        })
    }

    /// The layers of the tower for texts.
    pub(super) fn text_layers(&self) -> &Layers {
        &self.text.layers
    }

    /// Moves both towers from the processor to another place.
    pub(super) fn move_to(&mut self, place: &Place) -> candle_core::Result<()> {
        self.text.move_to(Some(&self.words), place)?;
        if self.text.layers.tower().is_some() {
            // They are there, too, and no longer read from here.
            self.words = Vec::new();
        }
        self.image.move_to(None, place)
    }

    /// Values of one patch in the tower for images.
    pub(super) fn image_width(&self) -> usize {
        self.image.layers.width()
    }

    /// Values of one row.
    pub(super) fn n_dims(&self) -> usize {
        self.text.projection.n_out()
    }

    /// Number of ids it knows, while it is on the processor.
    pub(super) fn vocabulary(&self) -> usize {
        self.words.len() / self.text.layers.width()
    }

    /// Longest sequence it can take.
    pub(super) fn n_positions(&self) -> usize {
        self.text.positions.len() / self.text.layers.width()
    }

    /// Bytes of memory that it takes.
    pub(super) fn n_bytes(&self) -> usize {
        let tables = self.words.len() + self.class.len();
        let images = self.patches.n_bytes() + self.first_norm.n_bytes();
        4 * tables + images + self.text.n_bytes() + self.image.n_bytes()
    }

    /// One row a text; `end` is the token after a text, whose vector stands for it.
    pub(super) fn texts(
        &self,
        sequences: &[&[u32]],
        end: Option<u32>,
        rows: &mut [f32],
        (x, scratch): (&mut Vec<f32>, &mut Scratch),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        let ends: Vec<u32> = sequences
            .iter()
            .zip(firsts(sequences))
            .map(|(ids, first)| {
                let place = ids.iter().position(|id| Some(*id) == end);
                first + place.unwrap_or(ids.len() - 1) as u32
            })
            .collect();
        if let Some(tower) = self.text.layers.tower() {
            return tower.run(Input::Ids(sequences), Wanted::Tokens(&ends), rows, stop);
        }
        let width = self.text.layers.width();
        x.clear();
        for ids in sequences {
            for (id, position) in ids.iter().zip(self.text.positions.chunks_exact(width)) {
                let word = &self.words[*id as usize * width..][..width];
                x.extend(word.iter().zip(position).map(|(a, b)| a + b));
            }
        }
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        self.text.layers.run(x, &lengths, scratch, stop)?;
        self.text.project(x, &ends, rows);
        Ok(())
    }

    /// Appends what the layers read of some images: `patches` holds the pixels of each image's patches, one image after the
    /// other.
    pub(super) fn embed(&self, patches: &[f32], x: &mut Vec<f32>) {
        let width = self.image.layers.width();
        let n_patches = self.pixels.n_patches();
        let n_values = patches.len() / self.patches.n_in() * width;
        let mut embedded = vec![0.0; n_values];
        self.patches.apply(patches, &mut embedded, Finish::Store);
        let first = x.len();
        for image in embedded.chunks_exact(n_patches * width) {
            let start = x.len();
            x.extend_from_slice(&self.class);
            x.extend_from_slice(image);
            for (value, position) in x[start..].iter_mut().zip(&self.image.positions) {
                *value += position;
            }
        }
        self.first_norm.apply(&mut x[first..]);
    }

    /// One row an image, of what [`Self::embed`] gave, which is written over.
    pub(super) fn images(
        &self,
        x: &mut [f32],
        rows: &mut [f32],
        scratch: &mut Scratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        let n_patches = self.pixels.n_patches();
        let n_images = rows.len() / self.n_dims();
        let lengths = vec![n_patches + 1; n_images];
        let classes = (0..n_images).map(|i| (i * (n_patches + 1)) as u32);
        let classes: Vec<u32> = classes.collect();
        if let Some(tower) = self.image.layers.tower() {
            let input = Input::Vectors(x, &lengths);
            return tower.run(input, Wanted::Tokens(&classes), rows, stop);
        }
        self.image.layers.run(x, &lengths, scratch, stop)?;
        self.image.project(x, &classes, rows);
        Ok(())
    }
}

impl Tower {
    fn n_bytes(&self) -> usize {
        let ends = self.last_norm.n_bytes() + self.projection.n_bytes();
        4 * self.positions.len() + self.layers.n_bytes() + ends
    }

    /// Moves the tower from the processor to another place, with the words that it reads.
    fn move_to(&mut self, words: Option<&[f32]>, place: &Place) -> candle_core::Result<()> {
        let Some(stack) = self.layers.stack() else {
            return Ok(());
        };
        self.layers = place.layers(&Parts {
            words,
            positions: &self.positions,
            norm: None,
            stack,
            last_norm: Some(&self.last_norm),
            projection: Some(&self.projection),
        })?;
        Ok(())
    }

    /// Takes the vectors of the given tokens to the common space.
    fn project(&self, x: &[f32], tokens: &[u32], rows: &mut [f32]) {
        let width = self.layers.width();
        let mut chosen: Vec<f32> = Vec::with_capacity(tokens.len() * width);
        for token in tokens {
            chosen.extend_from_slice(&x[*token as usize * width..][..width]);
        }
        self.last_norm.apply(&mut chosen);
        self.projection.apply(&chosen, rows, Finish::Store);
    }
}

/// The numbers and names in which the two towers differ.
struct Shape<'a> {
    name: &'static str,
    last_norm: &'static str,
    projection: &'static str,
    width: usize,
    inner: usize,
    n_heads: usize,
    n_layers: usize,
    n_positions: usize,
    activation: &'a str,
    epsilon: f64,
    sight: Sight,
}

impl<'a> Shape<'a> {
    fn of_text(settings: &'a TextSettings) -> Self {
        Self {
            name: "text_model",
            last_norm: "text_model.final_layer_norm",
            projection: "text_projection.weight",
            width: settings.hidden_size,
            inner: settings.intermediate_size,
            n_heads: settings.num_attention_heads,
            n_layers: settings.num_hidden_layers,
            n_positions: settings.max_position_embeddings,
            activation: &settings.hidden_act,
            epsilon: settings.layer_norm_eps,
            sight: Sight::Before,
        }
    }

    fn of_image(settings: &'a ImageSettings, n_patches: usize) -> Self {
        Self {
            name: "vision_model",
            last_norm: "vision_model.post_layernorm",
            projection: "visual_projection.weight",
            width: settings.hidden_size,
            inner: settings.intermediate_size,
            n_heads: settings.num_attention_heads,
            n_layers: settings.num_hidden_layers,
            n_positions: n_patches + 1,
            activation: &settings.hidden_act,
            epsilon: settings.layer_norm_eps,
            sight: Sight::All,
        }
    }

    fn tower(&self, path: &Path, weights: &Weights, n_dims: usize) -> Result<Tower, EngineError> {
        let Self { width, n_heads, .. } = *self;
        let dim = head_dim(path, "num_attention_heads", width, n_heads)?;
        let activation = Activation::named(self.activation)
            .ok_or_else(|| unusable(path, "hidden_act", self.activation.to_owned()))?;
        let layers = (0..self.n_layers)
            .map(|i| self.layer(weights, i))
            .collect::<Result<_, _>>()?;
        let positions = format!("{}.embeddings.position_embedding.weight", self.name);
        let projection = weights.tensor(self.projection, &[n_dims, width])?;
        Ok(Tower {
            positions: weights.tensor(&positions, &[self.n_positions, width])?,
            layers: Layers::Processor(Stack {
                layers,
                heads: Heads { n: n_heads, dim },
                order: NormOrder::Before,
                activation,
            }),
            last_norm: weights.norm(self.last_norm, width, self.epsilon)?,
            projection: Linear::new(&projection, &[], width),
        })
    }

    fn layer(&self, weights: &Weights, i: usize) -> Result<Layer, EngineError> {
        let (width, inner) = (self.width, self.inner);
        let name = |rest: &str| format!("{}.encoder.layers.{i}.{rest}", self.name);
        let qkv = ["q", "k", "v"].map(|part| name(&format!("self_attn.{part}_proj")));
        Ok(Layer {
            qkv: weights.linear(&qkv, width, width)?,
            rope: None,
            sight: self.sight,
            out: weights.linear(&[name("self_attn.out_proj")], width, width)?,
            attention_norm: Some(weights.norm(&name("layer_norm1"), width, self.epsilon)?),
            up: weights.linear(&[name("mlp.fc1")], width, inner)?,
            gate: None,
            down: weights.linear(&[name("mlp.fc2")], inner, width)?,
            feed_norm: weights.norm(&name("layer_norm2"), width, self.epsilon)?,
        })
    }
}
