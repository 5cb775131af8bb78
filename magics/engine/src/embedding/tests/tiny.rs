//! Writes tiny random models.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use tempfile::TempDir;

use super::plain::Tensors;

/// Width and heads are chosen so that neither fills whole vectors.
pub(super) const WIDTH: usize = 40;
pub(super) const HEADS: usize = 5;
pub(super) const INNER: usize = 72;
pub(super) const LAYERS: usize = 2;
pub(super) const POSITIONS: usize = 48;

const WORDS: &str = "[PAD] [UNK] [CLS] [SEP] a b c d e f g h i j k l m n o p q r s t u v w x y z ##a ##b ##c ##d ##e \
    ##f ##g ##h ##i ##j ##k ##l ##m ##n ##o ##p ##q ##r ##s ##t ##u ##v ##w ##x ##y ##z";

pub(super) fn n_words() -> usize {
    WORDS.split_whitespace().count()
}

/// A model directory and what was written into it.
pub(super) struct Tiny {
    pub(super) directory: TempDir,
    pub(super) tensors: Tensors,
    random: fastrand::Rng,
}

impl Tiny {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lines = WORDS.split_whitespace().collect::<Vec<_>>().join("\n");
        fs::write(directory.path().join("vocab.txt"), lines).unwrap();
        Self {
            directory,
            tensors: Tensors::new(),
            random: fastrand::Rng::with_seed(7),
        }
    }

    /// A BERT, its tensors' names beginning with `prefix`.
    pub(super) fn bert(prefix: &str, model_type: &str) -> Self {
        let mut tiny = Self::new();
        let e = format!("{prefix}embeddings.");
        tiny.add(&format!("{e}word_embeddings.weight"), &[n_words(), WIDTH]);
        tiny.add(
            &format!("{e}position_embeddings.weight"),
            &[POSITIONS, WIDTH],
        );
        tiny.add(&format!("{e}token_type_embeddings.weight"), &[2, WIDTH]);
        tiny.norm(&format!("{e}LayerNorm"), WIDTH);
        for i in 0..LAYERS {
            let l = format!("{prefix}encoder.layer.{i}.");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                tiny.linear(&format!("{l}attention.{part}"), WIDTH, WIDTH);
            }
            tiny.norm(&format!("{l}attention.output.LayerNorm"), WIDTH);
            tiny.linear(&format!("{l}intermediate.dense"), WIDTH, INNER);
            tiny.linear(&format!("{l}output.dense"), INNER, WIDTH);
            tiny.norm(&format!("{l}output.LayerNorm"), WIDTH);
        }
        tiny.write(
            "config.json",
            &format!(
                r#"{{"model_type": "{model_type}", "hidden_size": {WIDTH}, "num_attention_heads": {HEADS},
                "num_hidden_layers": {LAYERS}, "intermediate_size": {INNER}, "vocab_size": {},
                "max_position_embeddings": {POSITIONS}, "pad_token_id": 0}}"#,
                n_words()
            ),
        );
        tiny.save();
        tiny
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn write(&self, file: &str, content: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(super) fn save(&self) {
        candle_core::safetensors::save(&self.tensors, self.path().join("model.safetensors"))
            .unwrap();
    }

    pub(super) fn add(&mut self, name: &str, shape: &[usize]) {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|_| self.random.f32() - 0.5).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        self.tensors.insert(name.to_owned(), tensor);
    }

    pub(super) fn linear(&mut self, name: &str, n_in: usize, n_out: usize) {
        self.add(&format!("{name}.weight"), &[n_out, n_in]);
        self.add(&format!("{name}.bias"), &[n_out]);
    }

    pub(super) fn norm(&mut self, name: &str, n: usize) {
        self.add(&format!("{name}.weight"), &[n]);
        self.add(&format!("{name}.bias"), &[n]);
    }
}

/// Texts of letters from 0 to 40 tokens, in no order.
pub(super) fn texts() -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(3);
    let mut letters = |n: usize| (0..n).map(|_| random.lowercase()).collect::<String>();
    let lengths = [5, 0, 17, 40, 1, 6, 33, 12, 7, 24, 2, 39, 13, 18];
    lengths
        .map(|n| format!("{} {}", letters(n / 2), letters(n - n / 2)))
        .to_vec()
}
