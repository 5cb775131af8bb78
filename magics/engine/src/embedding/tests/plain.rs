//! The layers once more, in candle's plain operations, one sequence at a time.

use std::collections::HashMap;

use candle_core::{D, Device, IndexOp, Result, Tensor};

pub(super) type Tensors = HashMap<String, Tensor>;

/// How a tower is built, and what its tensors are called.
pub(super) struct Tower<'a> {
    pub(super) tensors: &'a Tensors,
    pub(super) n_heads: usize,
    pub(super) epsilon: f64,
    pub(super) names: Names,
    /// Normalise before each part, see only what came before, x·σ(1.702·x).
    pub(super) clip: bool,
    pub(super) causal: bool,
}

pub(super) struct Names {
    pub(super) layers: String,
    pub(super) qkv: [&'static str; 3],
    pub(super) out: &'static str,
    pub(super) norms: [&'static str; 2],
    pub(super) feed: [&'static str; 2],
}

impl Tower<'_> {
    pub(super) fn layer(&self, i: usize, x: &Tensor) -> Result<Tensor> {
        let name = |rest: &str| format!("{}{i}.{rest}", self.names.layers);
        let [norm1, norm2] = self.names.norms.map(name);
        let [up, down] = self.names.feed.map(name);
        if self.clip {
            let x = (x + self.attention(&name, &self.norm(&norm1, x)?)?)?;
            let middle = self.linear(&up, &self.norm(&norm2, &x)?)?;
            let gate = ((&middle * -1.702)?.exp()? + 1.0)?;
            return &x + self.linear(&down, &(middle / gate)?)?;
        }
        let x = self.norm(&norm1, &(x + self.attention(&name, x)?)?)?;
        let middle = self.linear(&up, &x)?.gelu_erf()?;
        self.norm(&norm2, &(&x + self.linear(&down, &middle)?)?)
    }

    fn attention(&self, name: &impl Fn(&str) -> String, x: &Tensor) -> Result<Tensor> {
        let (n_tokens, width) = x.dims2()?;
        let dim = width / self.n_heads;
        let [q, k, v] = self.names.qkv.map(|part| {
            self.linear(&name(part), x)?
                .reshape((n_tokens, self.n_heads, dim))?
                .transpose(0, 1)?
                .contiguous()
        });
        let scores = (q?.matmul(&k?.transpose(1, 2)?.contiguous()?)? / (dim as f64).sqrt())?;
        let scores = if self.causal {
            let mask = (0..n_tokens * n_tokens).map(|i| {
                if i % n_tokens > i / n_tokens {
                    f32::MIN
                } else {
                    0.0
                }
            });
            let mask = Tensor::from_iter(mask, &Device::Cpu)?.reshape((1, n_tokens, n_tokens))?;
            scores.broadcast_add(&mask)?
        } else {
            scores
        };
        let weights = scores
            .broadcast_sub(&scores.max_keepdim(D::Minus1)?)?
            .exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        let mixed = weights.matmul(&v?)?.transpose(0, 1)?.contiguous()?;
        self.linear(&name(self.names.out), &mixed.reshape((n_tokens, width))?)
    }

    pub(super) fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weights = &self.tensors[&format!("{name}.weight")];
        let y = x.matmul(&weights.t()?)?;
        match self.tensors.get(&format!("{name}.bias")) {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    pub(super) fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        centred
            .broadcast_div(&(variance + self.epsilon)?.sqrt()?)?
            .broadcast_mul(&self.tensors[&format!("{name}.weight")])?
            .broadcast_add(&self.tensors[&format!("{name}.bias")])
    }
}

/// Rows of a table.
pub(super) fn rows(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    table.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)
}

/// One row as numbers.
pub(super) fn row(x: &Tensor, row: usize) -> Vec<f32> {
    x.i(row).unwrap().to_vec1().unwrap()
}
