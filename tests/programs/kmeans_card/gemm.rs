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

/// TFLOP/s of cuBLAS with numbers of a precision: the best of five products of 8192³.
pub(crate) fn rate(precision: Precision) -> Result<f64, Failure> {
    let size = 8192_usize;
    let (kind, compute, words) = match precision {
        Precision::F32 => (Type::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F, size * size),
        Precision::Tf32 => (
            Type::CUDA_R_32F,
            Compute::CUBLAS_COMPUTE_32F_FAST_TF32,
            size * size,
        ),
        Precision::Bf16 => (
            Type::CUDA_R_16BF,
            Compute::CUBLAS_COMPUTE_32F,
            size * size / 2,
        ),
    };
    let stream = CudaContext::new(0)?.new_stream()?;
    // Numbers near 1 in each format: the power that a card draws depends on them.
    let noise: Vec<u32> = (0..words as u32)
        .map(|at| 0x3f80_3f80 ^ (at.wrapping_mul(2_654_435_761) & 0x003f_003f))
        .collect();
    let (a, b) = (stream.clone_htod(&noise)?, stream.clone_htod(&noise)?);
    let mut c = stream.alloc_zeros::<f32>(size * size)?;
    let handle = CudaBlas::new(stream.clone())?;
    let (one, zero) = (1.0_f32, 0.0_f32);
    let n = i32::try_from(size)?;
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        stream.synchronize()?;
        let begin = Instant::now();
        let ((a, _a), (b, _b), (c, _c)) = (
            a.device_ptr(&stream),
            b.device_ptr(&stream),
            c.device_ptr_mut(&stream),
        );
        // SAFETY: three square matrices of that size, on the stream of the handle.
        unsafe {
            blas::gemm_ex(
                *handle.handle(),
                Operation::CUBLAS_OP_T,
                Operation::CUBLAS_OP_N,
                n,
                n,
                n,
                (&raw const one).cast(),
                a as *const c_void,
                kind,
                n,
                b as *const c_void,
                kind,
                n,
                (&raw const zero).cast(),
                c as *mut c_void,
                Type::CUDA_R_32F,
                n,
                compute,
                Algorithm::CUBLAS_GEMM_DEFAULT,
            )?;
        }
        stream.synchronize()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(2.0 * (size as f64).powi(3) / best / 1e12)
}
