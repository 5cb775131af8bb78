//! Kernels must compile for real cards: NVRTC needs no card for that.
//!
//! `MLK8S_CUDA` names the folder of `libnvrtc.so.13`, for example `…/site-packages/nvidia/cu13/lib` after
//! `pip install nvidia-cuda-nvrtc==13.0.88`.
#![expect(unsafe_code, reason = "NVRTC is a C library that is loaded")]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "for tests, which fail by that"
)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

use crate::program::Program;

/// Shared memory that every card since compute capability 8.0 has for a block (8.6, 8.9 and 12.0 have the least).
const LEAST_SHARED: usize = 99 * 1024;

type Handle = *mut c_void;

/// The functions of NVRTC that are needed.
struct Nvrtc {
    library: Library,
}

impl Nvrtc {
    fn open(folder: &Path) -> Self {
        // SAFETY: NVIDIA's libraries, whose start-up code asks nothing of the caller.
        let open = |name: &str| unsafe {
            Library::open(Some(folder.join(name)), RTLD_NOW | RTLD_GLOBAL).expect("loads")
        };
        std::mem::forget(open("libnvrtc-builtins.so.13.0"));
        Self {
            library: open("libnvrtc.so.13"),
        }
    }

    /// Calls a function of two arguments with a program.
    fn call<T>(&self, name: &str, program: Handle, argument: *mut T) -> c_int {
        type F = unsafe extern "C" fn(Handle, *mut c_void) -> c_int;
        // SAFETY: the function takes a program and a pointer.
        unsafe {
            (self.library.get::<F>(name.as_bytes()).expect("is there"))(program, argument.cast())
        }
    }

    /// Compiles a text for an architecture: machine code, and what the compiler says.
    fn compile(&self, text: &str, architecture: &str) -> Result<(Vec<u8>, String), String> {
        type Create = unsafe extern "C" fn(
            *mut Handle,
            *const c_char,
            *const c_char,
            c_int,
            *const c_void,
            *const c_void,
        ) -> c_int;
        type Compile = unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int;
        let source = CString::new(text).expect("a text");
        let options = [
            format!("--gpu-architecture={architecture}"),
            "--std=c++17".to_owned(),
            "--ptxas-options=-v".to_owned(),
        ]
        .map(|option| CString::new(option).expect("a text"));
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program: Handle = std::ptr::null_mut();
        let nothing = std::ptr::null();
        // SAFETY: all texts and lists live as long as the calls.
        let status = unsafe {
            let create = self
                .library
                .get::<Create>(b"nvrtcCreateProgram")
                .expect("is there");
            let name = c"kernels.cu".as_ptr();
            assert_eq!(
                create(&raw mut program, source.as_ptr(), name, 0, nothing, nothing),
                0
            );
            let compile = self
                .library
                .get::<Compile>(b"nvrtcCompileProgram")
                .expect("is there");
            compile(program, 3, options.as_ptr())
        };
        let read = |size: &str, content: &str| {
            let mut n = 0_usize;
            assert_eq!(self.call(size, program, &raw mut n), 0, "{size}");
            let mut bytes = vec![0_u8; n];
            assert_eq!(
                self.call(content, program, bytes.as_mut_ptr()),
                0,
                "{content}"
            );
            bytes
        };
        let log = read("nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
        let log = String::from_utf8_lossy(&log).into_owned();
        if status != 0 {
            return Err(log);
        }
        Ok((read("nvrtcGetCUBINSize", "nvrtcGetCUBIN"), log))
    }
}

/// Kernels in the log of `--ptxas-options=-v`, with bytes of shared memory and of registers that were spilled.
pub fn resources(log: &str) -> Vec<(String, usize, usize)> {
    let before = |line: &str, word: &str| -> usize {
        let head = line.find(word).map_or("", |at| &line[..at]);
        let last = head.split_whitespace().last();
        last.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let mut found: Vec<(String, usize, usize)> = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.split("Compiling entry function '").nth(1) {
            let name = name.split('\'').next().unwrap_or_default();
            found.push((name.to_owned(), 0, 0));
        } else if let Some((_, shared, spilled)) = found.last_mut() {
            *spilled += before(line, "bytes spill stores");
            *shared = (*shared).max(before(line, "bytes smem"));
        }
    }
    found
}

/// Compiles programs for cards of two generations, and panics where one does not compile or fit; `MLK8S_CUDA` says where
/// NVRTC is, and without it nothing is compiled, which is said.
pub fn compiled_for_cards(programs: &[Program]) {
    let Some(folder) = std::env::var_os("MLK8S_CUDA") else {
        let mut hint = std::io::stderr().lock();
        // Past the harness, which would swallow it: a test that looked at nothing must say so.
        let _ = std::io::Write::write_all(
            &mut hint,
            b"MLK8S_CUDA is not set: the kernels were NOT compiled for cards\n",
        );
        return;
    };
    let nvrtc = Nvrtc::open(Path::new(&folder));
    for program in programs {
        for architecture in ["sm_80", "sm_90a"] {
            let (image, log) = nvrtc
                .compile(&program.text, architecture)
                .unwrap_or_else(|log| panic!("{architecture}: {log}"));
            assert_eq!(image[..4], *b"\x7fELF", "{architecture}");
            let mut found = resources(&log);
            found.sort();
            let mut wanted = program.kernels.clone();
            wanted.sort();
            let names: Vec<&String> = found.iter().map(|(name, ..)| name).collect();
            assert_eq!(names, wanted.iter().collect::<Vec<_>>(), "{architecture}");
            for (name, shared, spilled) in &found {
                let large = program.large.as_ref().filter(|large| large.kernel == *name);
                let shared = shared + large.map_or(0, |large| large.shared);
                let most = if large.is_some() {
                    LEAST_SHARED
                } else {
                    48 * 1024
                };
                assert!(
                    shared <= most,
                    "{architecture}: {name} takes {shared} bytes"
                );
                // A few words are no loss.
                assert!(
                    *spilled <= 32,
                    "{architecture}: {name} spills {spilled} bytes"
                );
            }
        }
    }
    let error = nvrtc.compile("not C", "sm_90a").expect_err("is no program");
    assert!(error.contains("error"), "{error}");
}
