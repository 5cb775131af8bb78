//! The card itself, through the CUDA driver, NVRTC and cuBLAS.
#![expect(unsafe_code, reason = "the CUDA driver and cuBLAS are C libraries")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use cudarc::cublas::{result as blas, sys as blas_sys};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUfunction_attribute_enum as FunctionAttribute};
use cudarc::driver::{CudaContext, CudaEvent, CudaFunction, CudaStream};
use cudarc::nvrtc::Ptx;

use super::engine::{Argument, Engine, Lane, Launch, Mark, Numbers, Place, Product};
use super::error::{CudaError, Unavailable};
use super::hopper;
use super::libraries::{self, words};
use super::source;

/// A CUDA card.
pub(super) struct Card {
    // Fields are dropped in this order: what needs the context stands before it.
    functions: BTreeMap<&'static str, CudaFunction>,
    marks: Vec<CudaEvent>,
    blas: blas_sys::cublasHandle_t,
    compute: Arc<CudaStream>,
    copy: Arc<CudaStream>,
    context: Arc<CudaContext>,
    capability: (u32, u32),
    multiprocessors: usize,
    hopper: bool,
    /// Bytes that may be taken at most, and how many are.
    limit: Option<u64>,
    taken: std::cell::Cell<u64>,
}

impl Card {
    /// Opens the first card and compiles the kernels for it.
    pub(super) fn open(
        folders: &[PathBuf],
        limit: Option<u64>,
    ) -> Result<Rc<dyn Engine>, CudaError> {
        let device = libraries::available(folders)?;
        let context =
            CudaContext::new(0).map_err(|error| Unavailable::NoCard { why: words(error) })?;
        let image = source::compiled(device.compute)?;
        let functions = load(&context, &image, device.compute)?;
        let multiprocessors = context
            .attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
            .map_err(failed("asking for its multiprocessors"))?;
        let compute = context.new_stream().map_err(failed("opening a stream"))?;
        let copy = context.new_stream().map_err(failed("opening a stream"))?;
        let marks =
            (0..Mark::COUNT).map(|_| context.new_event(None).map_err(failed("making an event")));
        let marks = marks.collect::<Result<Vec<CudaEvent>, CudaError>>()?;
        let blas = blas::create_handle().map_err(blas_failed("opening cuBLAS"))?;
        // SAFETY: the handle is new, and the stream lives as long as `self`.
        unsafe { blas::set_stream(blas, compute.cu_stream().cast()) }
            .map_err(blas_failed("opening cuBLAS"))?;
        Ok(Rc::new(Card {
            functions,
            marks,
            blas,
            compute,
            copy,
            context,
            capability: device.compute,
            multiprocessors: multiprocessors.unsigned_abs() as usize,
            hopper: image.hopper,
            limit,
            taken: std::cell::Cell::new(0),
        }))
    }

    fn stream(&self, lane: Lane) -> &Arc<CudaStream> {
        match lane {
            Lane::Compute => &self.compute,
            Lane::Copy => &self.copy,
        }
    }

    fn shortage(&self, wanted: usize) -> CudaError {
        CudaError::OutOfMemory {
            wanted: wanted as u64,
            free: self.free().unwrap_or(0),
        }
    }
}

fn load(
    context: &Arc<CudaContext>,
    image: &source::Image,
    compute: (u32, u32),
) -> Result<BTreeMap<&'static str, CudaFunction>, CudaError> {
    let module = context
        .load_module(Ptx::from_binary(image.code.clone()))
        .map_err(failed("loading the kernels"))?;
    let tensor = if compute >= source::TENSOR_COMPUTE {
        &source::TENSOR_KERNELS[..]
    } else {
        &[]
    };
    let hopper = if image.hopper {
        &source::HOPPER_KERNELS[..]
    } else {
        &[]
    };
    let mut functions = BTreeMap::new();
    for (names, shared) in [
        (&source::KERNELS[..], None),
        (tensor, Some(source::TENSOR_SHARED)),
        (hopper, Some(hopper::SHARED)),
    ] {
        for &name in names {
            let function = module.load_function(name).map_err(failed(name))?;
            if let Some(shared) = shared {
                let most = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                function
                    .set_attribute(most, shared.cast_signed())
                    .map_err(failed(name))?;
            }
            functions.insert(name, function);
        }
    }
    Ok(functions)
}

impl Drop for Card {
    fn drop(&mut self) {
        // SAFETY: the handle was made in `open` and is destroyed here alone. An error has no one left to tell it to.
        let _ = unsafe { blas::destroy_handle(self.blas) };
    }
}

impl Engine for Card {
    fn allocate(&self, bytes: usize) -> Result<Place, CudaError> {
        if self
            .limit
            .is_some_and(|limit| self.taken.get() + bytes as u64 > limit)
        {
            return Err(self.shortage(bytes));
        }
        self.context
            .bind_to_thread()
            .map_err(failed("taking memory"))?;
        // SAFETY: the memory is handed to `Memory`, which gives it back once.
        match unsafe { result::malloc_sync(bytes) } {
            Ok(address) => {
                self.taken.set(self.taken.get() + bytes as u64);
                Ok(Place(address))
            }
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => Err(self.shortage(bytes)),
            Err(error) => Err(failed("taking memory")(error)),
        }
    }

    fn release(&self, place: Place, bytes: usize) {
        self.taken
            .set(self.taken.get().saturating_sub(bytes as u64));
        self.context
            .record_err(self.compute.synchronize().and(self.copy.synchronize()));
        // SAFETY: from `allocate`, given back once; the work that uses it has ended.
        self.context
            .record_err(unsafe { result::free_sync(place.0) });
    }

    fn free(&self) -> Result<u64, CudaError> {
        let (free, _) = self
            .context
            .mem_get_info()
            .map_err(failed("asking for free memory"))?;
        let left = self
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.taken.get()));
        Ok((free as u64).min(left))
    }

    fn pinned(&self, words: usize) -> Result<*mut u32, CudaError> {
        self.context
            .bind_to_thread()
            .map_err(failed("pinning memory"))?;
        // SAFETY: the memory is handed to `Staging`, which gives it back once.
        unsafe { result::malloc_host(words * 4, 0) }
            .map(<*mut c_void>::cast)
            .map_err(failed("pinning memory"))
    }

    fn unpin(&self, start: *mut u32, _words: usize) {
        self.context.record_err(self.copy.synchronize());
        // SAFETY: from `pinned`, given back once; no copy from it is under way.
        self.context
            .record_err(unsafe { result::free_host(start.cast()) });
    }

    fn fill(&self, place: Place, byte: u8, bytes: usize) -> Result<(), CudaError> {
        self.context
            .bind_to_thread()
            .map_err(failed("clearing memory"))?;
        // SAFETY: `Memory` owns these bytes.
        unsafe { result::memset_d8_async(place.0, byte, bytes, self.compute.cu_stream()) }
            .map_err(failed("clearing memory"))
    }

    fn write(&self, place: Place, host: &[u8]) -> Result<(), CudaError> {
        self.context
            .bind_to_thread()
            .map_err(failed("copying to the card"))?;
        // SAFETY: `Memory` owns the bytes on the card; `host` lives until the stream has been waited for.
        unsafe { result::memcpy_htod_async(place.0, host, self.compute.cu_stream()) }
            .map_err(failed("copying to the card"))?;
        self.compute
            .synchronize()
            .map_err(failed("copying to the card"))
    }

    fn read(&self, place: Place, host: &mut [u8]) -> Result<(), CudaError> {
        self.context
            .bind_to_thread()
            .map_err(failed("copying from the card"))?;
        // SAFETY: `Memory` owns the bytes on the card; `host` lives until the stream has been waited for.
        let copied = unsafe { result::memcpy_dtoh_async(host, place.0, self.compute.cu_stream()) };
        // Also after an error: the copy may have been started.
        let waited = self.compute.synchronize();
        copied.and(waited).map_err(failed("the work"))
    }

    fn send(&self, place: Place, from: *const u32, words: usize) -> Result<(), CudaError> {
        self.context
            .bind_to_thread()
            .map_err(failed("sending rows"))?;
        // SAFETY: `from` comes from `pinned` and rests until `Mark::Copied`, which its owner waits for.
        unsafe {
            result::memcpy_htod_async(
                place.0,
                std::slice::from_raw_parts(from, words),
                self.copy.cu_stream(),
            )
        }
        .map_err(failed("sending rows"))
    }

    fn mark(&self, lane: Lane, mark: Mark) -> Result<(), CudaError> {
        self.marks[mark.number()]
            .record(self.stream(lane))
            .map_err(failed("the work"))
    }

    fn follow(&self, lane: Lane, mark: Mark) -> Result<(), CudaError> {
        self.stream(lane)
            .wait(&self.marks[mark.number()])
            .map_err(failed("the work"))
    }

    fn wait(&self, mark: Mark) -> Result<(), CudaError> {
        self.marks[mark.number()]
            .synchronize()
            .map_err(failed("the work"))
    }

    fn launch(&self, launch: Launch, arguments: &[Argument]) -> Result<(), CudaError> {
        let function = self
            .functions
            .get(launch.kernel)
            .ok_or(CudaError::Unsupported {
                what: launch.kernel,
            })?;
        self.context
            .bind_to_thread()
            .map_err(failed(launch.kernel))?;
        let mut values: Vec<u64> = arguments.iter().map(|argument| argument.0).collect();
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|value| (&raw mut *value).cast())
            .collect();
        let (grid, block) = ((launch.grid.0, launch.grid.1, 1), (launch.threads, 1, 1));
        // SAFETY: each argument has the bits that the kernel reads, in the order in which it takes them (the tests run
        // the same launches on the CPU); the driver copies the values before it returns.
        unsafe {
            let stream = self.compute.cu_stream();
            result::launch_kernel(
                function.cu_function(),
                grid,
                block,
                launch.shared,
                stream,
                &mut pointers,
            )
        }
        .map_err(failed(launch.kernel))
    }

    fn product(&self, product: &Product) -> Result<(), CudaError> {
        use blas_sys::cublasComputeType_t as Compute;
        use blas_sys::cudaDataType_t as Type;
        let (kind, compute) = match product.numbers {
            Numbers::F32 => (Type::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F),
            Numbers::Tf32 => (Type::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F_FAST_TF32),
            Numbers::Bf16 => (Type::CUDA_R_16BF, Compute::CUBLAS_COMPUTE_32F),
        };
        let size = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let (one, zero) = (1.0_f32, 0.0_f32);
        let (k, n_rows, ld) = (size(product.k), size(product.n_rows), size(product.ld));
        self.context
            .bind_to_thread()
            .map_err(failed("the matrix product"))?;
        // SAFETY: cuBLAS counts by columns, so it sees k × rows = centroidsᵀ · rows; the places hold as many numbers.
        unsafe {
            blas::gemm_ex(
                self.blas,
                blas_sys::cublasOperation_t::CUBLAS_OP_T,
                blas_sys::cublasOperation_t::CUBLAS_OP_N,
                k,
                n_rows,
                ld,
                (&raw const one).cast(),
                product.centroids.0 as *const c_void,
                kind,
                ld,
                product.rows.0 as *const c_void,
                kind,
                ld,
                (&raw const zero).cast(),
                product.products.0 as *mut c_void,
                Type::CUDA_R_32F,
                k,
                compute,
                blas_sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(blas_failed("the matrix product"))
    }

    fn has_tensor_cores(&self) -> bool {
        self.capability >= source::TENSOR_COMPUTE
    }

    fn has_hopper(&self) -> bool {
        self.hopper
    }

    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }
}

fn failed(what: &str) -> impl FnOnce(DriverError) -> CudaError {
    move |error| CudaError::Card {
        what: what.to_owned(),
        why: words(error),
    }
}

fn blas_failed(what: &str) -> impl FnOnce(blas::CublasError) -> CudaError {
    move |error| CudaError::Card {
        what: what.to_owned(),
        why: format!("{error:?}"),
    }
}
