//! The kernels, and their compilation by NVRTC for the card at hand.
#![expect(unsafe_code, reason = "NVRTC is a C library")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::nvrtc::{result, sys};

use super::error::CudaError;

/// The kernel sources, in the order in which they build on each other; the tensor-core kernels apart.
const PARTS: [(&str, &str); 7] = [
    ("base.cu", include_str!("kernels/base.cu")),
    ("assign.cu", include_str!("kernels/assign.cu")),
    ("argmin.cu", include_str!("kernels/argmin.cu")),
    ("update.cu", include_str!("kernels/update.cu")),
    ("measure.cu", include_str!("kernels/measure.cu")),
    ("init.cu", include_str!("kernels/init.cu")),
    ("codes.cu", include_str!("kernels/codes.cu")),
];
const TENSOR: (&str, &str) = ("tensor.cu", include_str!("kernels/tensor.cu"));
const HOPPER: (&str, &str) = ("hopper.cu", include_str!("kernels/hopper.cu"));
/// The architecture of Hopper with what newer cards do not have, as NVRTC calls it.
const HOPPER_ARCHITECTURE: &str = "sm_90a";
/// The first compute capability whose tensor cores know TF32 and bf16.
pub(super) const TENSOR_COMPUTE: (u32, u32) = (8, 0);

/// Kernels that every card gets.
pub(super) const KERNELS: [&str; 34] = [
    "add_totals",
    "argmin_products",
    "assign_bf16",
    "assign_codes",
    "assign_f32",
    "compare_labels",
    "count_codes",
    "count_labels",
    "count_spans",
    "fold_spans",
    "inertia_bf16",
    "inertia_f32",
    "measure_bf16",
    "measure_codes",
    "measure_f32",
    "moments_bf16",
    "moments_f32",
    "move_centroids",
    "nearer",
    "normalise_f32",
    "pick_rows",
    "place_rows",
    "ready_centroids",
    "round_rows",
    "scan_blocks",
    "sum_closest",
    "sum_columns",
    "sum_spans_bf16",
    "sum_spans_f32",
    "sums_of_counts",
    "table_of_centroids",
    "weigh_bf16",
    "weigh_codes",
    "weigh_f32",
];
/// Bytes of dynamic shared memory of a block of the tensor-core kernels: three stages of 128 rows and 128 centroids.
pub(super) const TENSOR_SHARED: u32 = 3 * (128 + 128) * 128;
/// Kernels for tensor cores.
pub(super) const TENSOR_KERNELS: [&str; 2] = ["assign_tensor_bf16", "assign_tensor_f32"];

/// Kernels for Hopper alone.
pub(super) const HOPPER_KERNELS: [&str; 12] = [
    "assign_hopper_bf16_1",
    "assign_hopper_bf16_2",
    "assign_hopper_bf16_3",
    "assign_hopper_bf16_4",
    "assign_hopper_f16_1",
    "assign_hopper_f16_2",
    "assign_hopper_f16_3",
    "assign_hopper_f16_4",
    "tile_centroids_bf16",
    "tile_centroids_f16",
    "tile_rows_bf16",
    "tile_rows_f32",
];

/// All sources as one program; `#line` keeps the messages of the compiler true.
fn program(compute: (u32, u32), architecture: &str) -> String {
    let tensor = (compute >= TENSOR_COMPUTE).then_some(TENSOR);
    let hopper = (architecture == HOPPER_ARCHITECTURE).then_some(HOPPER);
    let parts = PARTS.into_iter().chain(tensor).chain(hopper);
    let parts: Vec<String> = parts
        .map(|(name, text)| format!("#line 1 \"{name}\"\n{text}"))
        .collect();
    parts.join("\n")
}

/// What the driver loads.
pub(super) struct Image {
    /// Machine code, or PTX (with its closing zero) where NVRTC does not know the card.
    pub(super) code: Vec<u8>,
    /// Whether the kernels for Hopper are in it.
    pub(super) hopper: bool,
}

/// What was compiled, by compute capability.
type Images = BTreeMap<(u32, u32), Arc<Image>>;

/// The kernels for a card; compiled once a process.
pub(super) fn compiled(compute: (u32, u32)) -> Result<Arc<Image>, CudaError> {
    static DONE: Mutex<Images> = Mutex::new(BTreeMap::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(image) = done.get(&compute) {
        return Ok(image.clone());
    }
    let architecture = architecture(compute);
    let hopper = architecture == HOPPER_ARCHITECTURE;
    let image = match compile(compute, &architecture) {
        // NVRTC of CUDA 11.8 knows Hopper, and not what only Hopper has.
        Err(_) if hopper => Image {
            code: compile(compute, "sm_90")?.image,
            hopper: false,
        },
        compiled => Image {
            code: compiled?.image,
            hopper,
        },
    };
    let image = Arc::new(image);
    done.insert(compute, image.clone());
    Ok(image)
}

/// What NVRTC calls the card; `compute_…` of the newest it knows where the card is newer.
fn architecture((major, minor): (u32, u32)) -> String {
    let known = known_architectures();
    let number = major * 10 + minor;
    if known.contains(&number) || known.is_empty() {
        let own = if number == 90 { "a" } else { "" };
        return format!("sm_{number}{own}");
    }
    let newest = known
        .into_iter()
        .filter(|&known| known <= number)
        .max()
        .unwrap_or(number);
    format!("compute_{newest}")
}

/// Architectures that this NVRTC compiles for, as 10 · major + minor.
pub(super) fn known_architectures() -> Vec<u32> {
    let mut count = 0;
    // SAFETY: the caller has found NVRTC; the pointers live as long as the calls.
    unsafe {
        if sys::nvrtcGetNumSupportedArchs(&raw mut count)
            .result()
            .is_err()
        {
            return Vec::new();
        }
        let mut known = vec![0; count.unsigned_abs() as usize];
        if known.is_empty()
            || sys::nvrtcGetSupportedArchs(known.as_mut_ptr())
                .result()
                .is_err()
        {
            return Vec::new();
        }
        known.into_iter().map(i32::unsigned_abs).collect()
    }
}

/// A compiled program.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Machine code or PTX.
    pub(super) image: Vec<u8>,
    /// What the compiler says: with `--ptxas-options=-v`, registers, shared memory and spills of each kernel.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests read the resources of the kernels in it")
    )]
    pub(super) log: String,
}

/// Compiles the kernels of a compute capability for an architecture of NVRTC's (`sm_90a`, `compute_80`).
pub(super) fn compile(compute: (u32, u32), architecture: &str) -> Result<Compiled, CudaError> {
    let failed = |log: String| CudaError::Compile {
        architecture: architecture.to_owned(),
        log,
    };
    let source =
        CString::new(program(compute, architecture)).map_err(|error| failed(error.to_string()))?;
    let program = result::create_program(&source, Some(c"kmeans.cu"))
        .map_err(|error| failed(format!("{error:?}")))?;
    let options = [
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".to_owned(),
        "--ptxas-options=-v".to_owned(),
    ];
    // SAFETY: `program` was just created, and is destroyed once, after its last use.
    let (outcome, log) = unsafe {
        let outcome =
            result::compile_program(program, &options).and_then(|()| image(program, architecture));
        let log = result::get_program_log(program).unwrap_or_default();
        // Nothing hangs on a program that cannot be destroyed.
        let _ = result::destroy_program(program);
        (outcome, log)
    };
    let log: Vec<u8> = log
        .into_iter()
        .map(|byte| byte as u8)
        .take_while(|&byte| byte != 0)
        .collect();
    let log = String::from_utf8_lossy(&log).into_owned();
    match outcome {
        Ok(image) => Ok(Compiled { image, log }),
        Err(error) => Err(failed(format!("{error:?}\n{log}"))),
    }
}

/// # Safety
/// `program` must have been compiled.
unsafe fn image(
    program: sys::nvrtcProgram,
    architecture: &str,
) -> Result<Vec<u8>, result::NvrtcError> {
    // SAFETY: the caller's promise; both buffers are as long as NVRTC says.
    unsafe {
        if !architecture.starts_with("sm_") {
            return Ok(result::get_ptx(program)?
                .into_iter()
                .map(|byte| byte as u8)
                .collect());
        }
        let mut size = 0;
        sys::nvrtcGetCUBINSize(program, &raw mut size).result()?;
        let mut image = vec![0_u8; size];
        sys::nvrtcGetCUBIN(program, image.as_mut_ptr().cast()).result()?;
        Ok(image)
    }
}
