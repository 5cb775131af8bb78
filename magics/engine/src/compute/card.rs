//! A GPU for the layers of encoders.
#![cfg_attr(
    feature = "cuda",
    expect(unsafe_code, reason = "the CUDA driver is a C library")
)]

#[cfg(feature = "cuda")]
use candle_core::{
    CudaDevice,
    cuda_backend::cudarc::driver::{DriverError, result, sys},
};
use candle_core::{Device, Result};
use mlk8s_card::{Launcher, Program};

/// Opens the GPU of this number; an error where there is none that can be used.
pub(crate) fn open(number: usize) -> Result<Device> {
    // A stream of its own: the one that candle takes else is another one in each thread.
    let device = Device::new_cuda_with_stream(number)?;
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = &device {
        // SAFETY: everything on this device is on one stream, in the order of the calls, so that nothing has to wait for
        // events; recording them took as long as many of the launches.
        unsafe { card.disable_event_tracking() };
        keep_memory(card);
    }
    Ok(device)
}

/// What runs a program on a device that was opened here: the GPU of this number.
pub(crate) fn launcher(
    device: &Device,
    number: usize,
    program: &Program,
) -> Result<Box<dyn Launcher>> {
    #[cfg(feature = "cuda")]
    {
        let card = mlk8s_card::Card::on(device, number, program);
        let card = card.map_err(|error| candle_core::Error::Msg(error.to_string()))?;
        Ok(Box::new(card))
    }
    #[cfg(not(feature = "cuda"))]
    candle_core::bail!(
        "no kernels run on GPU {number}, {device:?}: {:?}",
        program.kernels
    )
}

/// Gives memory of `device` that no batch uses back to other processes; the next batch has to ask for it again.
pub(crate) fn give_back(device: &Device) {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device {
        // SAFETY: the pool is the device's.
        with_pool(card, |pool| unsafe { result::mem_pool::trim_to(pool, 0) });
    }
    #[cfg(not(feature = "cuda"))]
    let _ = device;
}

/// Lets the driver keep some of the memory that was given back: the next batch takes it again at once, and what other
/// processes on this GPU miss by that is bounded.
#[cfg(feature = "cuda")]
fn keep_memory(card: &CudaDevice) {
    const KEPT: u64 = 1 << 30;
    let threshold = sys::CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    with_pool(card, |pool| {
        let mut kept = KEPT;
        // SAFETY: the pool is the device's, and the number lives as long as the call.
        unsafe { sys::cuMemPoolSetAttribute(pool, threshold, (&raw mut kept).cast()).result() }
    });
}

/// Does something to the pool from which memory of `card` comes. GPUs that are cut into virtual ones may have none, and a
/// pool that will not have it only makes batches slower, or others wait for memory: neither keeps an encoder from its work.
#[cfg(feature = "cuda")]
fn with_pool(
    card: &CudaDevice,
    work: impl FnOnce(sys::CUmemoryPool) -> std::result::Result<(), DriverError>,
) {
    let context = card.cuda_stream().context().clone();
    if !context.has_async_alloc() {
        return;
    }
    // SAFETY: the device is this context's.
    let pool = || unsafe { result::device::get_default_mem_pool(context.cu_device()) };
    let _ = context
        .bind_to_thread()
        .and_then(|()| pool())
        .and_then(work);
}
