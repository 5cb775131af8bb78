//! Layers, wherever they compute.

use candle_core::Error;

use super::fused::Fused;
use super::stack::{Scratch, Stack, Stopped};
use super::tensors::Tensors;

/// The layers of a model.
pub(crate) enum Layers {
    /// On the processor, by own kernels.
    Processor(Stack),
    /// On a device, by candle's.
    Device(Tensors),
    /// On a card, with all around them.
    Card(Fused),
}

/// Why layers have not come to their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The work was stopped on request.
    Stopped,
    /// The device failed, and said so.
    Failed(String),
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Layers {
    /// Values of one token.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Processor(stack) => stack.width(),
            Self::Device(tensors) => tensors.width(),
            Self::Card(tower) => tower.width(),
        }
    }

    /// Bytes of memory that the layers take, wherever they are.
    pub(crate) fn n_bytes(&self) -> usize {
        match self {
            Self::Processor(stack) => stack.n_bytes(),
            Self::Device(tensors) => tensors.n_bytes(),
            Self::Card(tower) => tower.n_bytes(),
        }
    }

    /// The layers on the processor; none where they are elsewhere.
    pub(crate) fn stack(&self) -> Option<&Stack> {
        match self {
            Self::Processor(stack) => Some(stack),
            _ => None,
        }
    }

    /// The tower that they are a part of on a card.
    pub(crate) fn tower(&self) -> Option<&Fused> {
        match self {
            Self::Card(tower) => Some(tower),
            _ => None,
        }
    }

    /// Gives memory of their device back that no batch uses.
    pub(crate) fn give_back(&self) {
        match self {
            Self::Processor(_) => {}
            Self::Device(tensors) => tensors.give_back(),
            Self::Card(tower) => tower.give_back(),
        }
    }

    /// Runs `x` (tokens × width), sequences of the given lengths one after the other, through all layers in place.
    pub(crate) fn run(
        &self,
        x: &mut [f32],
        lengths: &[usize],
        scratch: &mut Scratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Halt> {
        match self {
            Self::Processor(stack) => Ok(stack.run(x, lengths, scratch, stop)?),
            Self::Device(tensors) => tensors.run(x, lengths, stop),
            Self::Card(_) => Err(Halt::Failed("a tower on a card runs as a whole".to_owned())),
        }
    }
}
