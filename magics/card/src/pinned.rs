//! Page-locked memory through which results leave the card.
//!
//! The driver copies into other memory by way of a small buffer of its own, with one thread, and memory that is new has to
//! be mapped page by page besides: more than half a millisecond for one row of a large vocabulary.
#![expect(unsafe_code, reason = "the CUDA driver is a C library")]

use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaStream, DriverError, result};
use rayon::prelude::*;

/// Most numbers that are kept: what all programs of a machine can lock has an end.
const MOST: usize = 1 << 24;
/// Numbers that one thread copies at a time.
const PIECE: usize = 1 << 17;

/// A buffer that grows to what steps ask for, and stays.
#[derive(Debug)]
pub(crate) struct Pinned {
    context: Arc<CudaContext>,
    /// Where it begins; a number, as whoever holds the buffer may be sent to another thread. 0 while there is none.
    start: usize,
    /// Numbers that it holds.
    len: usize,
    /// Whether the system has refused to lock memory.
    refused: bool,
    /// Whether many threads copy from it.
    many: bool,
}

impl Pinned {
    /// None yet, for copies from cards of this context; with `many`, all threads of the pool share them, and the caller must
    /// not hold what others in the pool wait for.
    pub(crate) fn new(context: &Arc<CudaContext>, many: bool) -> Self {
        Self {
            context: Arc::clone(context),
            start: 0,
            len: 0,
            refused: false,
            many,
        }
    }

    /// Copies numbers from an address on the card when all before it on the stream is done.
    ///
    /// # Safety
    /// From `address` on there are `into.len()` numbers in single precision, which live until this returns.
    pub(crate) unsafe fn read(
        &mut self,
        stream: &CudaStream,
        address: u64,
        into: &mut [f32],
    ) -> Result<(), DriverError> {
        self.context.bind_to_thread()?;
        self.grow(into.len());
        if self.start == 0 {
            // SAFETY: the caller's promise; nobody sees the numbers before the stream is done.
            unsafe { result::memcpy_dtoh_async(into, address, stream.cu_stream())? };
            return stream.synchronize();
        }
        let mut from = address;
        for part in into.chunks_mut(self.len) {
            // SAFETY: the buffer has `self.len` numbers, which were cleared when it was made, and `self` is borrowed.
            let buffer =
                unsafe { std::slice::from_raw_parts_mut(self.start as *mut f32, part.len()) };
            // SAFETY: the caller's promise; the buffer is not read before the stream is done.
            unsafe { result::memcpy_dtoh_async(buffer, from, stream.cu_stream())? };
            stream.synchronize()?;
            from += size_of_val(part) as u64;
            if self.many {
                copy(buffer, part);
            } else {
                part.copy_from_slice(buffer);
            }
        }
        Ok(())
    }

    /// Makes the buffer as large as is asked, if it may be; else it stays as it is.
    fn grow(&mut self, wanted: usize) {
        let wanted = wanted.next_power_of_two().min(MOST);
        if wanted <= self.len || self.refused {
            return;
        }
        self.free();
        // Not write-combined, which the processor reads slowly.
        // SAFETY: the context is bound to this thread.
        match unsafe { result::malloc_host(wanted * size_of::<f32>(), 0) } {
            Ok(start) => {
                // SAFETY: as many bytes were given, and zeros are numbers.
                unsafe { start.write_bytes(0, wanted * size_of::<f32>()) };
                self.start = start as usize;
                self.len = wanted;
            }
            Err(_) => self.refused = true,
        }
    }

    fn free(&mut self) {
        if self.start != 0 {
            // SAFETY: it came from `malloc_host`, and is forgotten here. An error would be one of an earlier kernel.
            let _ = unsafe { result::free_host(self.start as *mut c_void) };
            self.start = 0;
            self.len = 0;
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.bind_to_thread().is_ok() {
            self.free();
        }
    }
}

/// Copies with all threads what is more than one piece.
fn copy(from: &[f32], into: &mut [f32]) {
    if into.len() <= PIECE {
        into.copy_from_slice(from);
        return;
    }
    let pieces = into.par_chunks_mut(PIECE).zip(from.par_chunks(PIECE));
    pieces.for_each(|(into, from)| into.copy_from_slice(from));
}
