//! The rate of cuBLAS on this card, beside which that of the k-means is told.
#![expect(
    unsafe_code,
    reason = "the rate of cuBLAS itself is measured through its C interface"
)]

use std::ffi::c_void;
use std::time::Instant;

use cudarc::cublas::sys::{
    cublasComputeType_t as Compute, cublasGemmAlgo_t as Algorithm, cublasOperation_t as Operation,
    cudaDataType_t as Type,
};
use cudarc::cublas::{CudaBlas, result as blas};
use cudarc::driver::{CudaContext, DevicePtr, DevicePtrMut};
use mlk8s_clustering::cuda::Precision;

use crate::Failure;

/// The product that is told for all shapes: square matrices, as large as cuBLAS likes them.
pub(crate) const SQUARE: Shape = Shape {
    rows: 8192,
    dims: 8192,
    k: 8192,
};
/// Bytes of products at most.
const MOST: usize = 4 << 30;

/// A product of `rows` × `dims` and `dims` × `k` numbers.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) dims: usize,
    pub(crate) k: usize,
}

impl Shape {
    /// That of the distances of rows to centroids; of as many rows as there is room for their products.
    pub(crate) fn of(rows: usize, dims: usize, k: usize) -> Shape {
        Shape {
            rows: rows.min(MOST / 4 / k),
            dims: dims.next_multiple_of(8),
            k,
        }
    }
}

/// TFLOP/s of cuBLAS with numbers of a precision: the best of five products, whose results are f32.
pub(crate) fn rate(precision: Precision, shape: Shape) -> Result<f64, Failure> {
    let (kind, compute, bytes) = match precision {
        Precision::F32 => (Type::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F, 4),
        Precision::Tf32 => (Type::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F_FAST_TF32, 4),
        Precision::Bf16 => (Type::CUDA_R_16BF, Compute::CUBLAS_COMPUTE_32F, 2),
    };
    let stream = CudaContext::new(0)?.new_stream()?;
    // Numbers near 1 in each format: the power that a card draws depends on them.
    let noise = |count: usize| -> Vec<u32> {
        (0..(count * bytes / 4) as u32)
            .map(|at| 0x3f80_3f80 ^ (at.wrapping_mul(2_654_435_761) & 0x003f_003f))
            .collect()
    };
    let a = stream.clone_htod(&noise(shape.k * shape.dims))?;
    let b = stream.clone_htod(&noise(shape.rows * shape.dims))?;
    let mut c = stream.alloc_zeros::<f32>(shape.rows * shape.k)?;
    let handle = CudaBlas::new(stream.clone())?;
    let (one, zero) = (1.0_f32, 0.0_f32);
    let (k, rows) = (i32::try_from(shape.k)?, i32::try_from(shape.rows)?);
    let columns = i32::try_from(shape.dims)?;
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        stream.synchronize()?;
        let begin = Instant::now();
        let ((a, _a), (b, _b), (c, _c)) = (
            a.device_ptr(&stream),
            b.device_ptr(&stream),
            c.device_ptr_mut(&stream),
        );
        // SAFETY: matrices of these sizes, on the stream of the handle.
        unsafe {
            blas::gemm_ex(
                *handle.handle(),
                Operation::CUBLAS_OP_T,
                Operation::CUBLAS_OP_N,
                k,
                rows,
                columns,
                (&raw const one).cast(),
                a as *const c_void,
                kind,
                columns,
                b as *const c_void,
                kind,
                columns,
                (&raw const zero).cast(),
                c as *mut c_void,
                Type::CUDA_R_32F,
                k,
                compute,
                Algorithm::CUBLAS_GEMM_DEFAULT,
            )?;
        }
        stream.synchronize()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(2.0 * shape.rows as f64 * shape.dims as f64 * shape.k as f64 / best / 1e12)
}
