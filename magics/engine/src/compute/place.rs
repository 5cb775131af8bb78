//! Where layers are moved to from the processor, and by what they run there.

use candle_core::{Device, Result};
use mlk8s_card::{Launcher, Program};

use super::fused::{Fused, Parts};
use super::layers::Layers;
use super::tensors::Tensors;

/// What computes on a GPU. Everything is in single precision, but for the factors of products where that is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GpuKernels {
    /// Own kernels; factors of products are rounded to TF32 (10 bits behind the point), as tensor cores take them.
    #[default]
    Tf32,
    /// Own kernels, and products in single precision.
    F32,
    /// Candle's operations, for models that the own kernels don't take, and for comparison.
    Candle,
}

/// Gives what runs a program on a device.
type Launchers = Box<dyn Fn(&Program) -> Result<Box<dyn Launcher>>>;

/// A device, and how layers run there.
pub(crate) struct Place {
    device: Device,
    kernels: GpuKernels,
    launchers: Launchers,
}

impl Place {
    /// The GPU of this number; an error where there is none that can be used.
    pub(crate) fn open(number: usize, kernels: GpuKernels) -> Result<Self> {
        let device = super::card::open(number)?;
        let of = device.clone();
        Ok(Self {
            device,
            kernels,
            launchers: Box::new(move |program| super::card::launcher(&of, number, program)),
        })
    }

    /// The processor, as if it were a GPU, with what runs own kernels.
    #[cfg(test)]
    pub(crate) fn rehearsal(kernels: GpuKernels, launchers: Launchers) -> Self {
        Self {
            device: Device::Cpu,
            kernels,
            launchers,
        }
    }

    /// Layers there: a whole tower, where there are kernels for it.
    pub(crate) fn layers(&self, parts: &Parts<'_>) -> Result<Layers> {
        let exact = self.kernels == GpuKernels::F32;
        let program = Fused::program(parts, exact).filter(|_| self.kernels != GpuKernels::Candle);
        let Some(program) = program else {
            return Tensors::new(parts.stack, &self.device).map(Layers::Device);
        };
        let launcher = (self.launchers)(&program)?;
        Fused::new(parts, launcher, &self.device, exact).map(Layers::Card)
    }
}
