//! The kernels must compile for real cards: NVRTC needs no card for that.
//!
//! `MLK8S_CUDA` names the folder of `libnvrtc.so.13`, for example `…/site-packages/nvidia/cu13/lib` after
//! `pip install nvidia-cuda-nvrtc==13.0.88`.

use std::path::Path;

use super::super::source::{self, HOPPER_KERNELS, KERNELS, TENSOR_KERNELS, TENSOR_SHARED};
use super::super::{CudaError, Precision, Rows, Settings, available, libraries};
use crate::options::Options;
use crate::watch::Silent;

/// Shared memory that every card since compute capability 8.0 has for a block (8.6, 8.9 and 12.0 have the least).
const LEAST_SHARED: u32 = 99 * 1024;

/// What `ptxas` reports of a kernel.
#[derive(Debug, PartialEq)]
struct Resources {
    kernel: String,
    registers: u32,
    /// Bytes, without the dynamic part.
    shared: u32,
    spilled: u32,
}

/// Reads the log of `--ptxas-options=-v`.
fn resources(log: &str) -> Vec<Resources> {
    let before = |line: &str, word: &str| -> u32 {
        let head = line.find(word).map_or("", |at| &line[..at]);
        head.split_whitespace()
            .last()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    };
    let mut found: Vec<Resources> = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.split("Compiling entry function '").nth(1) {
            found.push(Resources {
                kernel: name.split('\'').next().unwrap_or_default().to_owned(),
                registers: 0,
                shared: 0,
                spilled: 0,
            });
        } else if let Some(last) = found.last_mut() {
            last.spilled += before(line, "bytes spill stores") + before(line, "bytes spill loads");
            last.registers = last.registers.max(before(line, "registers"));
            last.shared = last.shared.max(before(line, "bytes smem"));
        }
    }
    found
}

#[test]
fn the_log_of_the_assembler_is_read() {
    let log = "ptxas info    : Compiling entry function 'assign_f32' for 'sm_90a'\n\
               ptxas info    : Function properties for assign_f32\n\
               ptxas         .     8 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads\n\
               ptxas info    : Used 128 registers, used 1 barriers, 16896 bytes smem, 424 bytes cmem[0]\n";
    let wanted = Resources {
        kernel: "assign_f32".to_owned(),
        registers: 128,
        shared: 16_896,
        spilled: 16,
    };
    assert_eq!(resources(log), [wanted]);
}

#[test]
fn the_kernels_compile_for_cards_and_fit_on_them() {
    let Some(folder) = std::env::var_os("MLK8S_CUDA") else {
        let mut hint = std::io::stderr().lock();
        // Past the harness, which would swallow it: a test that looked at nothing must say so.
        let _ = std::io::Write::write_all(
            &mut hint,
            b"MLK8S_CUDA is not set: the kernels were NOT compiled for cards\n",
        );
        return;
    };
    assert!(
        libraries::preload(Path::new(&folder)),
        "no NVRTC in {}",
        folder.display()
    );
    let known = source::known_architectures();
    assert!(
        known.contains(&80) && known.contains(&90),
        "NVRTC knows {known:?}"
    );
    for (compute, architecture) in [
        ((9, 0), "sm_90a"),
        ((8, 0), "sm_80"),
        ((12, 0), "sm_120"),
        ((7, 5), "sm_75"),
    ] {
        if !known.contains(&(compute.0 * 10 + compute.1)) {
            continue;
        }
        let compiled = source::compile(compute, architecture).expect("compiles");
        assert_eq!(compiled.image[..4], *b"\x7fELF", "{architecture}");
        check(&compiled.log, compute, architecture);
    }
    let error = source::compile((9, 0), "sm_13").expect_err("there is no such architecture");
    assert!(matches!(error, CudaError::Compile { .. }), "{error}");
}

fn check(log: &str, compute: (u32, u32), architecture: &str) {
    let mut found = resources(log);
    found.sort_by(|a, b| a.kernel.cmp(&b.kernel));
    let tensor = if compute >= source::TENSOR_COMPUTE {
        &TENSOR_KERNELS[..]
    } else {
        &[]
    };
    let hopper = if architecture == "sm_90a" {
        &HOPPER_KERNELS[..]
    } else {
        &[]
    };
    let mut wanted: Vec<&str> = KERNELS
        .iter()
        .chain(tensor)
        .chain(hopper)
        .copied()
        .collect();
    wanted.sort_unstable();
    let names: Vec<&str> = found
        .iter()
        .map(|resources| resources.kernel.as_str())
        .collect();
    assert_eq!(names, wanted, "{architecture}");
    // Products that cannot run beside each other are slower, which the compiler says and lets be.
    assert!(!log.contains("serialized"), "{architecture}: {log}");
    for kernel in &found {
        assert_eq!(kernel.spilled, 0, "{architecture}: {kernel:?}");
        assert!(
            kernel.registers > 0 && kernel.shared <= 48 * 1024,
            "{architecture}: {kernel:?}"
        );
        if TENSOR_KERNELS.contains(&kernel.kernel.as_str()) {
            // Two blocks of 256 threads on a multiprocessor of 65,536 registers.
            assert!(
                kernel.registers <= 128 && kernel.shared + TENSOR_SHARED <= LEAST_SHARED,
                "{kernel:?}"
            );
        }
    }
}

#[test]
fn without_a_card_it_says_what_is_missing() {
    let Err(missing) = available(&Settings::default()) else {
        // There is a card: then a small fit works.
        let (rows, options) = ([0.0, 1.0, 10.0, 11.0], Options::new(2));
        let rows = Rows {
            values: &rows,
            dims: 1,
            weights: None,
        };
        let fit = super::super::fit(&rows, &options, &Settings::default(), &Silent).expect("works");
        assert!((fit.inertia - 1.0).abs() < 1e-6, "{fit:?}");
        return;
    };
    assert!(!missing.hint().is_empty() && missing.to_string().contains(' '));
    let rows = Rows {
        values: &[0.0, 1.0],
        dims: 1,
        weights: None,
    };
    for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
        let settings = Settings {
            precision,
            ..Settings::default()
        };
        let error = super::super::fit(&rows, &Options::new(1), &settings, &Silent)
            .expect_err("there is no card");
        assert!(
            matches!(error, CudaError::Unavailable(ref why) if *why == missing),
            "{error}"
        );
    }
}
