//! Weights in a safetensors file, read through a memory map.
#![expect(
    unsafe_code,
    reason = "mapping a file into memory cannot be checked by the compiler"
)]

use std::cell::Cell;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device};

use crate::compute::{LayerNorm, Linear};
use crate::error::EngineError;

/// The name of the file that holds a model's weights.
pub(super) const FILE: &str = "model.safetensors";

/// An open file of weights; tensors are looked up below a prefix.
pub(super) struct Weights {
    path: PathBuf,
    tensors: MmapedSafetensors,
    n_parameters: Cell<u64>,
}

impl Weights {
    /// Maps the weights of a model directory.
    pub(super) fn open(directory: &Path) -> Result<Self, EngineError> {
        let path = directory.join(FILE);
        if !path.is_file() {
            return Err(EngineError::Missing {
                directory: directory.to_owned(),
                file: FILE.to_owned(),
            });
        }
        // SAFETY: the map is only read, and dropped when loading ends. A writer that changes the file meanwhile could
        // make numbers wrong; model files are replaced as a whole, never written in place.
        let tensors = unsafe { MmapedSafetensors::new(&path) };
        match tensors {
            Ok(tensors) => Ok(Self {
                path,
                tensors,
                n_parameters: Cell::new(0),
            }),
            Err(error) => Err(EngineError::Weights {
                path,
                what: error.to_string(),
            }),
        }
    }

    /// Numbers in all the tensors that were read so far.
    pub(super) fn n_parameters(&self) -> u64 {
        self.n_parameters.get()
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.get(name).is_ok()
    }

    /// The numbers of a tensor, row by row, as `f32`.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let Ok(view) = self.tensors.get(name) else {
            return Err(EngineError::Tensor {
                path: self.path.clone(),
                name: name.to_owned(),
            });
        };
        if view.shape() != shape {
            return Err(EngineError::Shape {
                path: self.path.clone(),
                name: name.to_owned(),
                found: view.shape().to_vec(),
                wanted: shape.to_vec(),
            });
        }
        let values = self
            .tensors
            .load(name, &Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>())
            .map_err(|error| EngineError::Weights {
                path: self.path.clone(),
                what: format!("`{name}`: {error}"),
            })?;
        self.n_parameters
            .set(self.n_parameters.get() + values.len() as u64);
        Ok(values)
    }

    /// Several linear layers of the same input as one, their results standing side by side.
    pub(super) fn linear(
        &self,
        names: &[String],
        n_in: usize,
        n_out: usize,
    ) -> Result<Linear, EngineError> {
        let mut weights = Vec::with_capacity(names.len() * n_in * n_out);
        let mut bias = Vec::with_capacity(names.len() * n_out);
        for name in names {
            let (more, shifts) = self.parts(name, n_in, n_out, true)?;
            weights.extend(more);
            bias.extend(shifts);
        }
        Ok(Linear::new(&weights, &bias, n_in))
    }

    /// The weights (`n_out` × `n_in`) and the bias of a linear layer; one that is not `biased` has an empty bias.
    pub(super) fn parts(
        &self,
        name: &str,
        n_in: usize,
        n_out: usize,
        biased: bool,
    ) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let weights = self.tensor(&format!("{name}.weight"), &[n_out, n_in])?;
        let bias = if biased {
            self.tensor(&format!("{name}.bias"), &[n_out])?
        } else {
            Vec::new()
        };
        Ok((weights, bias))
    }

    /// A linear layer, with or without bias.
    pub(super) fn product(
        &self,
        name: &str,
        n_in: usize,
        n_out: usize,
        biased: bool,
    ) -> Result<Linear, EngineError> {
        let (weights, bias) = self.parts(name, n_in, n_out, biased)?;
        Ok(Linear::new(&weights, &bias, n_in))
    }

    /// A layer normalisation; old files call its scale and shift `gamma` and `beta`.
    pub(super) fn norm(
        &self,
        name: &str,
        n: usize,
        epsilon: f64,
    ) -> Result<LayerNorm, EngineError> {
        let old = self.has(&format!("{name}.gamma"));
        let (scale, shift) = if old {
            ("gamma", "beta")
        } else {
            ("weight", "bias")
        };
        Ok(LayerNorm::new(
            self.tensor(&format!("{name}.{scale}"), &[n])?,
            self.tensor(&format!("{name}.{shift}"), &[n])?,
            epsilon,
        ))
    }
}
