//! A stand-in for the card: the same kernel sources, built for the processor, on copies of the tensors that start as NaN
//! where nothing was written and end at a page that faults.
#![expect(unsafe_code, reason = "the kernels are C++ code that is loaded")]
#![expect(clippy::expect_used, reason = "for tests, which fail by that")]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Storage, Tensor, WithDType};

use crate::launch::{Argument, Launch, Launcher};

type LaunchFn = unsafe extern "C" fn(
    *const c_char,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut *mut c_void,
    c_uint,
) -> c_int;
type AllocateFn = unsafe extern "C" fn(usize) -> *mut c_void;
type ReleaseFn = unsafe extern "C" fn(*mut c_void, usize);

/// The kernels, built for the processor.
pub struct Kernels {
    /// Runs a kernel to its end: name, grid (two), threads of a block, bytes of dynamic shared memory, pointers to the
    /// arguments, order of threads (see the shim). 1 when no kernel has this name. One caller at a time.
    pub launch: LaunchFn,
    /// Memory of as many bytes that starts as NaN and ends where it faults.
    pub allocate: AllocateFn,
    /// Gives back what `allocate` gave, with its size.
    pub release: ReleaseFn,
}

/// Kernels to be built for the processor.
pub struct Sources {
    /// A C++ file that includes `shim.h`, the kernels and `library.h`, with a list `KERNELS` before the last.
    file: &'static str,
    /// Folder of the kernels.
    folder: &'static str,
    built: OnceLock<Kernels>,
}

impl Sources {
    /// A C++ file, and the folder of the kernels that it includes.
    pub const fn new(file: &'static str, folder: &'static str) -> Self {
        Self {
            file,
            folder,
            built: OnceLock::new(),
        }
    }

    /// Builds them with the C++ compiler, once a process.
    ///
    /// # Panics
    ///
    /// Without the C++ compiler `g++`, and when it refuses the sources.
    pub fn kernels(&'static self) -> &'static Kernels {
        self.built.get_or_init(|| {
            let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
            let library = std::env::temp_dir().join(format!(
                "kernels-{}-{:p}.so",
                std::process::id(),
                std::ptr::from_ref(self)
            ));
            let options = "-O2 -march=native -std=c++17 -fPIC -shared -Wall -Wextra -Werror -Wno-unknown-pragmas \
                           -fno-strict-aliasing -ffp-contract=off";
            let status = Command::new("g++")
                .args(options.split_whitespace())
                .arg("-I")
                .arg(own.join("shim"))
                .arg("-I")
                .arg(own.join("kernels"))
                .arg("-I")
                .arg(self.folder)
                .arg(self.file)
                .arg("-o")
                .arg(&library)
                .status()
                .expect("these tests need the C++ compiler g++");
            assert!(status.success(), "the kernels do not compile for the processor");
            // SAFETY: the library was just built from our sources; it is never unloaded.
            let kernels = unsafe {
                let loaded = Box::leak(Box::new(libloading::Library::new(&library).expect("loads")));
                Kernels {
                    launch: *loaded.get::<LaunchFn>(b"shim_launch").expect("is there"),
                    allocate: *loaded.get::<AllocateFn>(b"shim_allocate").expect("is there"),
                    release: *loaded.get::<ReleaseFn>(b"shim_release").expect("is there"),
                }
            };
            std::fs::remove_file(&library).expect("our own file");
            kernels
        })
    }
}

/// Memory that starts as NaN.
struct Memory {
    start: *mut u8,
    bytes: usize,
    release: ReleaseFn,
}

impl Memory {
    fn new(kernels: &Kernels, bytes: usize) -> Self {
        // SAFETY: given back when dropped.
        let start = unsafe { (kernels.allocate)(bytes) }.cast();
        Self {
            start,
            bytes,
            release: kernels.release,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the memory is as large, and nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.bytes) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: from `new`, once.
        unsafe { (self.release)(self.start.cast(), self.bytes) };
    }
}

/// The stand-in. Threads run in another order at each launch; see the shim.
pub struct Shim {
    /// What it runs.
    pub kernels: &'static Sources,
    /// Launches so far, which choose the order.
    pub order: AtomicU32,
    /// Processors that it pretends to have; one if 0.
    pub n_processors: usize,
    /// Bytes that it pretends to have.
    pub memory: Option<u64>,
    /// The kernels that were launched.
    pub launched: std::sync::Arc<Mutex<Vec<String>>>,
}

impl Shim {
    /// A card with these kernels.
    pub fn of(kernels: &'static Sources) -> Self {
        Self {
            kernels,
            order: AtomicU32::new(0),
            n_processors: 0,
            memory: None,
            launched: std::sync::Arc::default(),
        }
    }
}

/// The bytes of a tensor from where it begins to the end of what it lies in.
fn with_bytes(tensor: &Tensor, work: &mut dyn FnMut(&[u8])) {
    fn rest<T: WithDType>(values: &[T], layout: &Layout) -> Vec<u8> {
        let values = &values[layout.start_offset()..];
        // SAFETY: numbers have no padding.
        let bytes = unsafe {
            std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
        };
        bytes.to_vec()
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        panic!("a tensor of another device")
    };
    let bytes = match storage {
        CpuStorage::F32(values) => rest(values, layout),
        CpuStorage::BF16(values) => rest(values, layout),
        CpuStorage::U32(values) => rest(values, layout),
        _ => panic!("a tensor of {:?}", tensor.dtype()),
    };
    work(&bytes);
}

/// Numbers as tensor cores may see them in single precision: cut off after 10 bits.
fn cut(numbers: &Tensor) -> Result<Tensor> {
    let cut = |x: f32| f32::from_bits(x.to_bits() & 0xffff_e000);
    let values: Vec<f32> = numbers.flatten_all()?.to_vec1()?;
    Tensor::from_vec(
        values.into_iter().map(cut).collect::<Vec<f32>>(),
        numbers.dims(),
        numbers.device(),
    )
}

/// Overwrites a tensor.
struct Put<'a>(&'a [u8]);

impl InplaceOp1 for Put<'_> {
    fn name(&self) -> &'static str {
        "put"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        fn put<T: WithDType>(values: &mut [T], layout: &Layout, from: &[u8]) {
            let (first, end) = layout.contiguous_offsets().expect("is contiguous");
            let values = &mut values[first..end];
            assert_eq!(size_of_val(values), from.len());
            // SAFETY: numbers have no padding, and all bits are numbers.
            let bytes = unsafe {
                std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), from.len())
            };
            bytes.copy_from_slice(from);
        }
        match storage {
            CpuStorage::F32(values) => put(values, layout, self.0),
            CpuStorage::BF16(values) => put(values, layout, self.0),
            _ => panic!("an unexpected type"),
        }
        Ok(())
    }
}

impl Launcher for Shim {
    fn launch(&self, launch: Launch<'_>, arguments: &[Argument<'_>]) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let launched = self.launched.lock();
        launched
            .unwrap_or_else(PoisonError::into_inner)
            .push(launch.kernel.to_owned());
        let kernels = self.kernels.kernels();
        let mut memory: Vec<Option<Memory>> = Vec::new();
        let mut values: Vec<u64> = Vec::new();
        for argument in arguments {
            let place = match argument {
                Argument::Read(tensor) | Argument::Update(tensor) => {
                    let mut place = None;
                    with_bytes(tensor, &mut |bytes| {
                        let mut copy = Memory::new(kernels, bytes.len());
                        copy.bytes().copy_from_slice(bytes);
                        place = Some(copy);
                    });
                    place
                }
                Argument::Write(tensor) => Some(Memory::new(
                    kernels,
                    tensor.elem_count() * tensor.dtype().size_in_bytes(),
                )),
                Argument::Nothing | Argument::Count(_) | Argument::Number(_) => None,
            };
            values.push(match argument {
                Argument::Count(number) => u64::from(u32::try_from(*number).expect("fits")),
                Argument::Number(number) => u64::from(number.to_bits()),
                _ => place.as_ref().map_or(0, |place| place.start as u64),
            });
            memory.push(place);
        }
        let mut pointers: Vec<*mut c_void> = values
            .iter_mut()
            .map(|value| (&raw mut *value).cast())
            .collect();
        let name = CString::new(launch.kernel).expect("a name");
        let size = |number: usize| u32::try_from(number).expect("fits");
        let order = self.order.fetch_add(1, Ordering::Relaxed);
        assert!(launch.grid.0 > 0 && launch.grid.1 > 0 && launch.threads <= 1024);
        // SAFETY: as on the card, arguments are what the kernel takes.
        let status = unsafe {
            (kernels.launch)(
                name.as_ptr(),
                size(launch.grid.0),
                size(launch.grid.1),
                size(launch.threads),
                size(launch.shared),
                pointers.as_mut_ptr(),
                order,
            )
        };
        assert_eq!(status, 0, "no kernel {}", launch.kernel);
        for (argument, memory) in arguments.iter().zip(&mut memory) {
            if let (Argument::Write(tensor) | Argument::Update(tensor), Some(memory)) =
                (argument, memory)
            {
                let bytes = tensor.elem_count() * tensor.dtype().size_in_bytes();
                tensor.inplace_op1(&Put(&memory.bytes()[..bytes]))?;
            }
        }
        Ok(())
    }

    fn logits(&self, x: &Tensor, matrix: &Tensor) -> Result<Tensor> {
        x.to_dtype(DType::F32)?
            .matmul(&matrix.to_dtype(DType::F32)?.t()?)
    }

    fn product(&self, x: &Tensor, matrix: &Tensor, out: &Tensor, coarse: bool) -> Result<()> {
        assert!(x.is_contiguous() && matrix.is_contiguous() && out.is_contiguous());
        let factor = |of: &Tensor| if coarse { cut(of) } else { Ok(of.clone()) };
        let product = factor(x)?.matmul(&factor(matrix)?.t()?)?;
        assert_eq!(product.dims(), out.dims());
        with_bytes(&product, &mut |bytes| {
            out.inplace_op1(&Put(bytes)).expect("fits");
        });
        Ok(())
    }

    fn copy(&self, numbers: &Tensor, into: &mut [f32]) -> Result<()> {
        assert!(numbers.is_contiguous());
        into.copy_from_slice(&numbers.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    fn free(&self) -> Result<u64> {
        Ok(self.memory.unwrap_or(1 << 40))
    }

    fn n_processors(&self) -> usize {
        self.n_processors.max(1)
    }
}
