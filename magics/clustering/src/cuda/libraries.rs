//! Which of the libraries that a card needs are there: driver, NVRTC, cuBLAS.
#![expect(unsafe_code, reason = "libraries are loaded at run time")]

use std::path::{Path, PathBuf};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::{cublas, driver, nvrtc};

use super::error::Unavailable;

/// The least CUDA version of the driver, as the driver counts (1000 · major + 10 · minor).
const LEAST_DRIVER: i32 = 12_000;
/// Libraries that are loaded from a named folder: what others need stands before them.
const WANTED: [&str; 4] = [
    "libnvrtc-builtins.so",
    "libnvrtc.so",
    "libcublasLt.so",
    "libcublas.so",
];
/// Where a CUDA toolkit puts its libraries.
const TOOLKIT: &str = "/usr/local/cuda/lib64";

/// A card that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What its maker calls it.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute: (u32, u32),
    /// Bytes of memory.
    pub memory: u64,
}

/// Asks for driver, NVRTC, cuBLAS and a card, in this order; `folders` are searched first.
///
/// Never panics, and works where there is no CUDA at all.
pub(super) fn available(folders: &[PathBuf]) -> Result<Device, Unavailable> {
    // SAFETY: this loads the vendor's libraries, whose start-up code asks nothing of the caller.
    unsafe {
        if !driver::sys::is_culib_present() {
            return Err(Unavailable::Driver);
        }
        for folder in folders {
            preload(folder);
        }
        if !nvrtc::sys::is_culib_present() || !cublas::sys::is_culib_present() {
            preload(Path::new(TOOLKIT));
        }
        if !nvrtc::sys::is_culib_present() {
            return Err(Unavailable::Nvrtc);
        }
        if !cublas::sys::is_culib_present() {
            return Err(Unavailable::Cublas);
        }
    }
    describe().map_err(|error| Unavailable::NoCard { why: words(error) })?
}

fn describe() -> Result<Result<Device, Unavailable>, DriverError> {
    result::init()?;
    let mut version = 0;
    // SAFETY: the driver is initialised, and `version` lives as long as the call.
    unsafe { driver::sys::cuDriverGetVersion(&raw mut version).result()? };
    if version < LEAST_DRIVER {
        return Ok(Err(Unavailable::OldDriver {
            found: format!("{}.{}", version / 1000, version % 1000 / 10),
        }));
    }
    let card = result::device::get(0)?;
    // SAFETY: `card` comes from the driver.
    let (memory, major, minor) = unsafe {
        (
            result::device::total_mem(card)?,
            result::device::get_attribute(
                card,
                Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            )?,
            result::device::get_attribute(
                card,
                Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )?,
        )
    };
    Ok(Ok(Device {
        name: result::device::get_name(card)?,
        compute: (major.unsigned_abs(), minor.unsigned_abs()),
        memory: memory as u64,
    }))
}

/// Loads the libraries of a folder for good, so that they are found by name afterwards; says whether any was there.
pub(super) fn preload(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut any = false;
    for wanted in WANTED {
        let named = |path: &&PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(wanted))
        };
        if let Some(path) = files.iter().find(named) {
            any |= load_for_good(path);
        }
    }
    any
}

#[cfg(unix)]
fn load_for_good(path: &Path) -> bool {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: one of NVIDIA's libraries, whose start-up code asks nothing of the caller; it is never unloaded.
    match unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}

#[cfg(not(unix))]
fn load_for_good(_path: &Path) -> bool {
    false
}

/// What the driver calls an error.
pub(super) fn words(error: DriverError) -> String {
    match (error.error_name(), error.error_string()) {
        (Ok(name), Ok(words)) => {
            format!("{} ({})", words.to_string_lossy(), name.to_string_lossy())
        }
        _ => format!("error {}", error.0 as u32),
    }
}
