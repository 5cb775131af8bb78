//! A GPU for the layers of encoders.
#![cfg_attr(
    feature = "cuda",
    expect(unsafe_code, reason = "the CUDA driver is a C library")
)]

use candle_core::{Device, Result};

/// Opens the GPU of this number; an error where there is none that can be used.
pub(crate) fn open(number: usize) -> Result<Device> {
    // A stream of its own: the one that candle takes else is another one in each thread.
    let device = Device::new_cuda_with_stream(number)?;
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = &device {
        // SAFETY: everything on this device is on one stream, in the order of the calls, so that nothing has to wait for
        // events; recording them took as long as many of the launches.
        unsafe { card.disable_event_tracking() };
        keep_memory(card)?;
    }
    Ok(device)
}

/// Lets the driver keep some of the memory that was given back: the next batch takes it again at once, and what other
/// processes on this GPU miss by that is bounded.
#[cfg(feature = "cuda")]
fn keep_memory(card: &candle_core::CudaDevice) -> Result<()> {
    use candle_core::cuda_backend::WrapErr as _;
    use candle_core::cuda_backend::cudarc::driver::{result, sys};

    const KEPT: u64 = 1 << 30;
    let mut kept = KEPT;
    let context = card.cuda_stream().context().clone();
    context.bind_to_thread().w()?;
    // SAFETY: the device is this context's, and the number lives as long as the call.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device()).w()?;
        let threshold = sys::CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        sys::cuMemPoolSetAttribute(pool, threshold, (&raw mut kept).cast())
            .result()
            .w()
    }
}
