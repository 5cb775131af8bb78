//! The card itself: the driver, cuBLAS, and NVRTC for the kernels, through candle's cudarc.
#![expect(unsafe_code, reason = "the CUDA driver and cuBLAS are C libraries")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::cublas::{result as blas, sys as blas_sys};
use candle_core::cuda_backend::cudarc::driver::sys::{
    self, CUfunction_attribute_enum as FunctionAttribute, CUmemPool_attribute_enum as PoolAttribute,
};
use candle_core::cuda_backend::cudarc::driver::{
    CudaContext, CudaFunction, CudaStream, DevicePtr, result as driver,
};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::{CudaStorage, DType, Device, Error, Result, Storage, Tensor};

use crate::compile;
use crate::error::CardError;
use crate::launch::{Argument, Launch, Launcher, room};
use crate::pinned::Pinned;
use crate::program::Program;

/// The first compute capability whose tensor cores know bf16.
const LEAST_COMPUTE: (i32, i32) = (8, 0);

/// A card with the kernels of one model.
pub struct Card {
    functions: HashMap<String, CudaFunction>,
    device: Device,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
    n_processors: usize,
    /// Through which logits leave the card.
    pinned: RefCell<Pinned>,
}

/// What the GPU of this number is called, with its compute capability and memory; an error where there is none that can be
/// used.
pub fn gpu(number: usize) -> std::result::Result<String, CardError> {
    let failed = |error: driver::DriverError| missing(number, &words(error));
    let context = opened(number)?;
    let (major, minor) = context.compute_capability().map_err(failed)?;
    let memory = context.total_mem().map_err(failed)? as f64 / 1024_f64.powi(3);
    let name = context.name().map_err(failed)?;
    Ok(format!(
        "{name}, compute capability {major}.{minor}, {memory:.0} GiB"
    ))
}

/// The context of a card that the kernels run on.
fn opened(number: usize) -> std::result::Result<Arc<CudaContext>, CardError> {
    let failed = |error: driver::DriverError| missing(number, &words(error));
    let count = CudaContext::device_count().map_err(failed)?;
    if number >= usize::try_from(count).unwrap_or(0) {
        return Err(missing(number, &format!("the driver knows {count}")));
    }
    let context = CudaContext::new(number).map_err(failed)?;
    let (major, minor) = context.compute_capability().map_err(failed)?;
    if (major, minor) < LEAST_COMPUTE {
        let what = format!("its compute capability is {major}.{minor}, and 8.0 is the least");
        return Err(missing(number, &what));
    }
    Ok(context)
}

fn missing(number: usize, why: &str) -> CardError {
    CardError::Missing {
        number,
        reason: why.to_owned(),
    }
}

impl Card {
    /// Opens the card of this number and compiles a model's kernels for it. Without a driver or a card it says so.
    pub fn open(number: usize, program: &Program) -> std::result::Result<Self, CardError> {
        let failed = |error: driver::DriverError| missing(number, &words(error));
        opened(number)?;
        // A stream of its own: the one that candle takes else is another one in each thread.
        let device = Device::new_cuda_with_stream(number)
            .map_err(|error| missing(number, &error.to_string()))?;
        let Device::Cuda(cuda) = &device else {
            return Err(missing(number, "candle opened something else"));
        };
        let stream = cuda.cuda_stream();
        // SAFETY: this program has one stream, so that nothing waits for events of others.
        unsafe { cuda.disable_event_tracking() };
        keep_memory(stream.context()).map_err(failed)?;
        let mut card = Self::on(&device, number, program)?;
        card.pinned = RefCell::new(Pinned::new(&card.context, true));
        Ok(card)
    }

    /// The kernels of a model on a device that is open already: the card of this number. Results are copied by the thread
    /// that asks for them alone.
    pub fn on(
        device: &Device,
        number: usize,
        program: &Program,
    ) -> std::result::Result<Self, CardError> {
        let failed = |error: driver::DriverError| missing(number, &words(error));
        let compute = opened(number)?.compute_capability().map_err(failed)?;
        let Device::Cuda(cuda) = device else {
            return Err(missing(number, "the device is none"));
        };
        let stream = cuda.cuda_stream();
        let context = Arc::clone(stream.context());
        let processors = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let n_processors = context.attribute(processors).map_err(failed)?;
        let image = compile::compiled(&program.text, compute)?;
        let functions =
            functions(&context, image, program).map_err(|error| CardError::Kernels {
                reason: format!("the GPU does not take the kernels: {}", words(error)),
            })?;
        Ok(Self {
            functions,
            pinned: RefCell::new(Pinned::new(&context, false)),
            stream,
            context,
            n_processors: n_processors.unsigned_abs() as usize,
            device: device.clone(),
        })
    }

    /// The device for tensors.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// Where a tensor's values begin.
    fn address(&self, tensor: &Tensor) -> Result<u64> {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else {
            candle_core::bail!("a tensor that is not on the GPU")
        };
        let bytes = layout.start_offset() * tensor.dtype().size_in_bytes();
        Ok(self.start(storage, tensor.dtype())? + bytes as u64)
    }

    fn start(&self, storage: &CudaStorage, dtype: DType) -> Result<u64> {
        Ok(match dtype {
            DType::F32 => storage.as_cuda_slice::<f32>()?.device_ptr(&self.stream).0,
            DType::U32 => storage.as_cuda_slice::<u32>()?.device_ptr(&self.stream).0,
            DType::BF16 => {
                storage
                    .as_cuda_slice::<half::bf16>()?
                    .device_ptr(&self.stream)
                    .0
            }
            other => candle_core::bail!("a tensor of {other:?}"),
        })
    }

    /// `out` (rows × outputs, in single precision) = x (rows × width) · matrixᵀ (outputs × width), both of one type.
    fn multiply(
        &self,
        x: &Tensor,
        matrix: &Tensor,
        out: &Tensor,
        compute: blas_sys::cublasComputeType_t,
    ) -> Result<()> {
        use blas_sys::cublasOperation_t::{CUBLAS_OP_N, CUBLAS_OP_T};
        use blas_sys::cudaDataType_t::{CUDA_R_16BF, CUDA_R_32F};
        let ((rows, width), (outputs, inputs)) = (x.dims2()?, matrix.dims2()?);
        let fits = inputs == width && out.dims2()? == (rows, outputs);
        let in_pieces = [x, matrix, out].iter().any(|one| !one.is_contiguous());
        if !fits || in_pieces || x.dtype() != matrix.dtype() || out.dtype() != DType::F32 {
            candle_core::bail!("{x:?} and {matrix:?} have no product like {out:?}")
        }
        let kind = match x.dtype() {
            DType::BF16 => CUDA_R_16BF,
            DType::F32 => CUDA_R_32F,
            other => candle_core::bail!("a product of {other:?}"),
        };
        let Device::Cuda(cuda) = &self.device else {
            candle_core::bail!("the GPU is none")
        };
        let size = |number: usize| i32::try_from(number).map_err(Error::wrap);
        let (n_outputs, n_rows, n_inputs) = (size(outputs)?, size(rows)?, size(width)?);
        let (one, zero) = (1.0_f32, 0.0_f32);
        let weights = self.address(matrix)? as *const c_void;
        let from = self.address(x)? as *const c_void;
        let into = self.address(out)? as *mut c_void;
        self.context.bind_to_thread().map_err(failed)?;
        let handle = *cuda.cublas_handle().handle();
        // SAFETY: cuBLAS counts by columns, so it sees outputs × rows = matrix · rowsᵀ; all tensors are contiguous and of
        // the sizes that are given.
        unsafe {
            blas::gemm_ex(
                handle,
                CUBLAS_OP_T,
                CUBLAS_OP_N,
                n_outputs,
                n_rows,
                n_inputs,
                (&raw const one).cast(),
                weights,
                kind,
                n_inputs,
                from,
                kind,
                n_inputs,
                (&raw const zero).cast(),
                into,
                CUDA_R_32F,
                n_outputs,
                compute,
                blas_sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(|error| Error::Cuda(format!("a product: {error:?}").into()))
    }

    /// The 64 bits of which a kernel reads what it takes.
    fn bits(&self, argument: &Argument<'_>) -> Result<u64> {
        Ok(match argument {
            Argument::Read(tensor) | Argument::Write(tensor) | Argument::Update(tensor) => {
                self.address(tensor)?
            }
            Argument::Nothing => 0,
            Argument::Count(number) => u64::from(u32::try_from(*number).map_err(Error::wrap)?),
            Argument::Number(number) => u64::from(number.to_bits()),
        })
    }
}

/// Lets the driver keep memory that was given back: the next step takes it again at once.
fn keep_memory(context: &Arc<CudaContext>) -> std::result::Result<(), driver::DriverError> {
    let mut all = u64::MAX;
    // SAFETY: the device is this context's, and the number lives as long as the call.
    unsafe {
        let pool = driver::device::get_default_mem_pool(context.cu_device())?;
        let threshold = PoolAttribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        sys::cuMemPoolSetAttribute(pool, threshold, (&raw mut all).cast()).result()
    }
}

fn functions(
    context: &Arc<CudaContext>,
    image: Vec<u8>,
    program: &Program,
) -> std::result::Result<HashMap<String, CudaFunction>, driver::DriverError> {
    let module = context.load_module(Ptx::from_binary(image))?;
    let mut functions = HashMap::new();
    for name in &program.kernels {
        let function = module.load_function(name)?;
        if let Some(large) = program.large.as_ref().filter(|large| large.kernel == *name) {
            let most = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function.set_attribute(most, i32::try_from(large.shared).unwrap_or(i32::MAX))?;
        }
        functions.insert(name.clone(), function);
    }
    Ok(functions)
}

/// What the driver calls an error.
fn words(error: driver::DriverError) -> String {
    if error.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE {
        // The library that stands in for a driver gives this one, and no words.
        return "there is none, or no driver for it (CUDA_ERROR_NO_DEVICE)".to_owned();
    }
    match (error.error_name(), error.error_string()) {
        (Ok(name), Ok(words)) => {
            format!("{} ({})", words.to_string_lossy(), name.to_string_lossy())
        }
        _ => format!("error {} of the driver", error.0 as u32),
    }
}

fn failed(error: driver::DriverError) -> Error {
    Error::Cuda(words(error).into())
}

impl Launcher for Card {
    fn launch(&self, launch: Launch<'_>, arguments: &[Argument<'_>]) -> Result<()> {
        let Some(function) = self.functions.get(launch.kernel) else {
            candle_core::bail!("there is no kernel `{}`", launch.kernel)
        };
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.bits(argument)?);
        }
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|value| (&raw mut *value).cast())
            .collect();
        let size = |number: usize| u32::try_from(number).map_err(Error::wrap);
        let grid = (size(launch.grid.0)?, size(launch.grid.1)?, 1);
        let (threads, shared) = (size(launch.threads)?, size(launch.shared)?);
        self.context.bind_to_thread().map_err(failed)?;
        // SAFETY: each argument has the bits that the kernel reads, in the order in which it takes them (the tests run
        // the same launches on the processor); the driver copies the values before it returns. Memory that is given
        // back is so behind this launch, as both are on one stream.
        unsafe {
            driver::launch_kernel(
                function.cu_function(),
                grid,
                (threads, 1, 1),
                shared,
                self.stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(|error| {
            Error::Cuda(format!("kernel `{}`: {}", launch.kernel, words(error)).into())
        })
    }

    fn logits(&self, x: &Tensor, matrix: &Tensor) -> Result<Tensor> {
        use blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        if x.dtype() != DType::BF16 {
            return x.matmul(&matrix.t()?);
        }
        let out = room(&[x.dims2()?.0, matrix.dims()[0]], DType::F32, &self.device)?;
        self.multiply(x, matrix, &out, CUBLAS_COMPUTE_32F)?;
        Ok(out)
    }

    fn product(&self, x: &Tensor, matrix: &Tensor, out: &Tensor, coarse: bool) -> Result<()> {
        use blas_sys::cublasComputeType_t::{CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32};
        let compute = if coarse {
            CUBLAS_COMPUTE_32F_FAST_TF32
        } else {
            CUBLAS_COMPUTE_32F
        };
        self.multiply(x, matrix, out, compute)
    }

    fn copy(&self, numbers: &Tensor, into: &mut [f32]) -> Result<()> {
        let is_whole = numbers.is_contiguous() && numbers.elem_count() == into.len();
        if numbers.dtype() != DType::F32 || !is_whole {
            candle_core::bail!("{numbers:?} cannot be read as {} numbers", into.len())
        }
        let address = self.address(numbers)?;
        let mut pinned = self.pinned.borrow_mut();
        // SAFETY: the tensor has as many numbers, one after the other, and outlives the call.
        unsafe { pinned.read(&self.stream, address, into) }.map_err(failed)
    }

    fn free(&self) -> Result<u64> {
        self.context.bind_to_thread().map_err(failed)?;
        self.stream.synchronize().map_err(failed)?;
        // What loading gave back, and the driver keeps, is free, too.
        // SAFETY: the device is this context's.
        unsafe {
            let pool = driver::device::get_default_mem_pool(self.context.cu_device());
            let trimmed = pool.and_then(|pool| sys::cuMemPoolTrimTo(pool, 0).result());
            trimmed.map_err(failed)?;
        }
        let (free, _) = self.context.mem_get_info().map_err(failed)?;
        Ok(free as u64)
    }

    fn n_processors(&self) -> usize {
        self.n_processors
    }
}
