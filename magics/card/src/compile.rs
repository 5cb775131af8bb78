//! Kernels compiled for the card at hand, by NVRTC, when a model is loaded.
//!
//! A second or two for each kind of model, and in return neither a compiler of NVIDIA's nor a list of cards is needed to
//! build the program, and a card that came after it gets code of its own.
#![expect(unsafe_code, reason = "NVRTC is a C library")]

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::nvrtc::{result, sys};

use crate::error::CardError;

/// What was compiled, by text and compute capability.
type Images = HashMap<(String, (i32, i32)), Vec<u8>>;

/// What the driver loads: machine code, or PTX (with its closing zero) where NVRTC does not know the card.
pub(crate) fn compiled(text: &str, compute: (i32, i32)) -> Result<Vec<u8>, CardError> {
    static DONE: Mutex<Option<Images>> = Mutex::new(None);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let done = done.get_or_insert_default();
    let key = (text.to_owned(), compute);
    if let Some(image) = done.get(&key) {
        return Ok(image.clone());
    }
    let image = compile(text, compute)?;
    done.insert(key, image.clone());
    Ok(image)
}

fn compile(text: &str, compute: (i32, i32)) -> Result<Vec<u8>, CardError> {
    let architecture = architecture(compute);
    let failed = |log: &str| CardError::Kernels {
        reason: format!("the kernels do not compile for `{architecture}`: {log}"),
    };
    let source = CString::new(text).map_err(|error| failed(&error.to_string()))?;
    let program = result::create_program(&source, Some(c"kernels.cu"))
        .map_err(|error| failed(&format!("{error:?}")))?;
    let options = [
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".to_owned(),
    ];
    // SAFETY: `program` was just created, and is destroyed once, after its last use.
    let (outcome, log) = unsafe {
        let outcome =
            result::compile_program(program, &options).and_then(|()| image(program, &architecture));
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
    outcome.map_err(|error| failed(&format!("{error:?}\n{}", String::from_utf8_lossy(&log))))
}

/// What NVRTC calls the card; `compute_…` of the newest it knows where the card is newer.
fn architecture((major, minor): (i32, i32)) -> String {
    let known = known_architectures();
    let number = major * 10 + minor;
    if known.contains(&number) || known.is_empty() {
        let own = if number == 90 { "a" } else { "" };
        return format!("sm_{number}{own}");
    }
    let older = known.into_iter().filter(|&known| known <= number);
    format!("compute_{}", older.max().unwrap_or(number))
}

/// Architectures that this NVRTC compiles for, as 10 · major + minor.
fn known_architectures() -> Vec<i32> {
    let mut count = 0;
    // SAFETY: the pointers live as long as the calls, and the list is as long as NVRTC says.
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
        known
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
            let text = result::get_ptx(program)?;
            return Ok(text.into_iter().map(|byte| byte as u8).collect());
        }
        let mut size = 0;
        sys::nvrtcGetCUBINSize(program, &raw mut size).result()?;
        let mut image = vec![0_u8; size];
        sys::nvrtcGetCUBIN(program, image.as_mut_ptr().cast()).result()?;
        Ok(image)
    }
}
