//! The seam between a model and what runs its kernels.

#![expect(
    unsafe_code,
    reason = "memory that a kernel fills need not be cleared before"
)]

use candle_core::{DType, Device, Result, Tensor};

/// How a kernel is launched.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Its name.
    pub kernel: &'a str,
    /// Blocks, in two directions.
    pub grid: (usize, usize),
    /// Threads of a block: whole warps.
    pub threads: usize,
    /// Bytes of dynamic shared memory.
    pub shared: usize,
}

/// What a kernel is given, in the order in which it takes it.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// Where a tensor's values begin; they may be columns of wider rows.
    Read(&'a Tensor),
    /// The same for a tensor that is written, whatever was there; it is contiguous.
    Write(&'a Tensor),
    /// The same for a tensor that is read and written.
    Update(&'a Tensor),
    /// No tensor: a null pointer.
    Nothing,
    /// A 32-bit number.
    Count(usize),
    /// A number in single precision.
    Number(f32),
}

impl<'a> Argument<'a> {
    /// A tensor that may be absent.
    pub fn maybe(tensor: Option<&'a Tensor>) -> Self {
        tensor.map_or(Self::Nothing, Self::Read)
    }
}

/// What runs kernels, one after the other in the order of the launches.
pub trait Launcher: Send {
    /// Launches a kernel.
    fn launch(&self, launch: Launch<'_>, arguments: &[Argument<'_>]) -> Result<()>;

    /// Products of rows (rows × width) with a matrix (outputs × width), in single precision whatever they are made of.
    fn logits(&self, x: &Tensor, matrix: &Tensor) -> Result<Tensor>;

    /// Products of rows (rows × width) with a matrix (outputs × width) into `out` (rows × outputs), all contiguous and in
    /// single precision; `coarse` allows the tensor cores to round factors to TF32, which has 10 bits behind the point.
    fn product(&self, x: &Tensor, matrix: &Tensor, out: &Tensor, coarse: bool) -> Result<()>;

    /// Copies the numbers of a contiguous tensor in single precision, of which there are as many as `into` holds.
    fn copy(&self, numbers: &Tensor, into: &mut [f32]) -> Result<()>;

    /// Makes `into` these numbers; what it has room for is used again.
    fn read(&self, numbers: &Tensor, into: &mut Vec<f32>) -> Result<()> {
        // Old numbers are written over: clearing them all would take as long as the copy.
        into.resize(numbers.elem_count(), 0.0);
        self.copy(numbers, into)
    }

    /// Bytes of memory that are free.
    fn free(&self) -> Result<u64>;

    /// Processors of the card, each of which runs a few blocks at a time.
    fn n_processors(&self) -> usize;
}

/// A tensor that a kernel is about to fill.
pub fn room(shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    if device.is_cpu() {
        // So that tests see what no kernel has written.
        return Tensor::full(f32::NAN, shape, device)?.to_dtype(dtype);
    }
    // SAFETY: on a card any bits are numbers, and it is written before it is read.
    unsafe { Tensor::empty(shape, dtype, device) }
}
