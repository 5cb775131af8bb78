//! Products with quantised matrices as candle's kernels for cards round them, for tests without a card.
//!
//! The kernels round the rows to eight bits in blocks of 32, with a scale in half precision (ggml's `Q8_1`), multiply codes
//! exactly and add in single precision: that is the product of the dequantised matrix and the rounded rows.

use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Result, Tensor};
use half::f16;

/// Values of a block.
const BLOCK: usize = 32;

/// Products of rows with a matrix, of the rows' type.
pub(super) fn product(matrix: &QMatMul, x: &Tensor) -> Result<Tensor> {
    let QMatMul::QTensor(matrix) = matrix else {
        candle_core::bail!("a matrix that is not quantised")
    };
    let matrix = matrix.dequantize(&Device::Cpu)?;
    let mut rows: Vec<f32> = x.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    rows.chunks_mut(BLOCK).for_each(round);
    let rows = Tensor::from_vec(rows, x.dims(), &Device::Cpu)?;
    rows.matmul(&matrix.t()?)?.to_dtype(x.dtype())
}

/// Rounds a block to 255 multiples of its scale.
fn round(block: &mut [f32]) {
    let largest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    if largest == 0.0 {
        return;
    }
    let scale = largest / 127.0;
    let stored = f16::from_f32(scale).to_f32();
    for x in block {
        *x = (*x / scale).round() * stored;
    }
}
