//! Checks the k-means on the card of this machine against plain code, and times it; `tests/benches/gpu` runs it.
//!
//! `kmeans_card check | time ROWS DIMS K ITERATIONS [--libraries FOLDER]…`. Lines are tab-separated. Ends with 3 where
//! there is no card, with 1 where a check fails.
#![expect(
    unsafe_code,
    reason = "the rate of cuBLAS itself is measured through its C interface"
)]

use std::ffi::c_void;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use cudarc::cublas::sys::{
    cublasComputeType_t as Compute, cublasGemmAlgo_t as Algorithm, cublasOperation_t as Operation,
    cudaDataType_t as Type,
};
use cudarc::cublas::{CudaBlas, result as blas};
use cudarc::driver::{CudaContext, DevicePtr, DevicePtrMut};
use mlk8s_clustering::cuda::{self, Precision, Rows, Settings};
use mlk8s_clustering::{Fit, Init, Iteration, Options, Silent, Watch};
use rayon::prelude::*;

type Failure = Box<dyn std::error::Error>;

const PRECISIONS: [(Precision, &str); 3] = [
    (Precision::F32, "f32"),
    (Precision::Tf32, "tf32"),
    (Precision::Bf16, "bf16"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            say(&format!("error\t{failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut settings = Settings::default();
    let mut words = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--libraries" {
            settings.libraries.push(PathBuf::from(
                arguments.next().ok_or("--libraries wants a folder")?,
            ));
        } else {
            words.push(argument.as_str());
        }
    }
    match cuda::available(&settings) {
        Ok(device) => say(&format!(
            "device\t{}\tcompute {}.{}\t{} MiB",
            device.name,
            device.compute.0,
            device.compute.1,
            device.memory >> 20
        )),
        Err(missing) => {
            say(&format!("unavailable\t{missing}\t{}", missing.hint()));
            return Ok(ExitCode::from(3));
        }
    }
    match words[..] {
        ["check"] => check(&settings),
        ["time", rows, dims, k, iterations] => {
            time(
                &settings,
                (rows.parse()?, dims.parse()?, k.parse()?),
                iterations.parse()?,
            )?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("kmeans_card check | time ROWS DIMS K ITERATIONS [--libraries FOLDER]…".into()),
    }
}

fn say(line: &str) {
    // Nothing is left to do where no one listens.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Rows around `k` points with noise, each row from its own generator.
fn scattered(n_rows: usize, dims: usize, k: usize) -> Vec<f32> {
    let normal = |rng: &mut fastrand::Rng| (0..4).map(|_| rng.f32() - 0.5).sum::<f32>() * 1.73;
    let mut rng = fastrand::Rng::with_seed(1);
    let points: Vec<f32> = (0..k * dims).map(|_| normal(&mut rng) + 0.3).collect();
    let mut rows = vec![0.0; n_rows * dims];
    rows.par_chunks_mut(dims)
        .enumerate()
        .for_each(|(number, row)| {
            let mut rng = fastrand::Rng::with_seed(number as u64 + 7);
            for (value, point) in row.iter_mut().zip(&points[number % k * dims..]) {
                *value = point + normal(&mut rng);
            }
        });
    rows
}

/// Iterations of plain k-means in f64; the inertia at the last centroids.
fn plain(rows: &[f32], dims: usize, centroids: &[f32], iterations: usize) -> f64 {
    let mut centroids = centroids.to_vec();
    for number in 0.. {
        let nearest = |row: &[f32]| {
            let distances = centroids.chunks_exact(dims).map(|centroid| {
                row.iter()
                    .zip(centroid)
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum::<f64>()
            });
            distances
                .enumerate()
                .fold((0, f64::INFINITY), |best, found| {
                    if found.1 < best.1 { found } else { best }
                })
        };
        let found: Vec<(usize, f64)> = rows.par_chunks_exact(dims).map(nearest).collect();
        if number == iterations {
            return found.iter().map(|found| found.1).sum();
        }
        let (mut sums, mut sizes) = (
            vec![0.0; centroids.len()],
            vec![0.0; centroids.len() / dims],
        );
        for (row, &(label, _)) in rows.chunks_exact(dims).zip(&found) {
            sizes[label] += 1.0;
            sums[label * dims..]
                .iter_mut()
                .zip(row)
                .for_each(|(sum, &value)| *sum += f64::from(value));
        }
        for (at, (centroid, sum)) in centroids.iter_mut().zip(&sums).enumerate() {
            if sizes[at / dims] > 0.0 {
                *centroid = (sum / sizes[at / dims]) as f32;
            }
        }
    }
    0.0
}

/// The same start must give the inertia of plain code to 1e-5, twice the same bits, and the same when it is streamed.
fn check(settings: &Settings) -> Result<ExitCode, Failure> {
    let mut good = true;
    for (n_rows, dims, k) in [
        (20_000, 384, 64),
        (30_001, 3, 17),
        (5_003, 1_024, 33),
        (50_000, 96, 1_000),
    ] {
        let rows = scattered(n_rows, dims, k);
        let start = rows[..k * dims].to_vec();
        let wanted = plain(&rows, dims, &start, 3);
        for (precision, name) in PRECISIONS {
            let options = Options {
                init: Init::Given(start.clone()),
                max_iter: 3,
                tolerance: 0.0,
                ..Options::new(k)
            };
            let fit = |memory| -> Result<Fit, cuda::CudaError> {
                let settings = Settings {
                    precision,
                    memory,
                    ..settings.clone()
                };
                let rows = Rows {
                    values: &rows,
                    dims,
                    weights: None,
                };
                cuda::fit(&rows, &options, &settings, &Silent)
            };
            let (once, again) = (fit(None)?, fit(None)?);
            let streamed = fit(Some(
                (n_rows * dims * 2 + n_rows * 40 + k * dims * 64 + (8 << 20)) as u64,
            ))?;
            let ratio = once.inertia / wanted - 1.0;
            // bf16 groups rounded rows.
            let near = ratio.abs()
                <= if precision == Precision::Bf16 {
                    1e-3
                } else {
                    1e-5
                };
            let (same, alike) = (
                once == again,
                (streamed.inertia / once.inertia - 1.0).abs() < 1e-6,
            );
            say(&format!(
                "check\t{n_rows}x{dims} k={k}\t{name}\t{ratio:e}\t{}\t{same}\t{alike}",
                verdict(near && same && alike)
            ));
            good &= near && same && alike;
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn verdict(good: bool) -> &'static str {
    if good { "ok" } else { "WRONG" }
}

/// Notes when iterations end.
struct Clock(Mutex<Vec<Instant>>);

impl Watch for Clock {
    fn stopped(&self) -> bool {
        false
    }
    fn iteration(&self, _iteration: &Iteration) {
        if let Ok(mut ends) = self.0.lock() {
            ends.push(Instant::now());
        }
    }
    fn step(&self, _done: usize, _total: usize, what: &str) {
        say(&format!("note\t{what}"));
    }
}

/// Milliseconds of an iteration (median), and its rate as a share of the rate of cuBLAS on this card.
fn time(
    settings: &Settings,
    (n_rows, dims, k): (usize, usize, usize),
    iterations: usize,
) -> Result<(), Failure> {
    let rows = scattered(n_rows, dims, k);
    // Not the points themselves: rows must go on moving.
    let start: Vec<f32> = (0..k)
        .flat_map(|cluster| rows[cluster * 7 % n_rows * dims..][..dims].to_vec())
        .collect();
    for (precision, name) in PRECISIONS {
        let rate = gemm_rate(precision)?;
        let clock = Clock(Mutex::default());
        let options = Options {
            init: Init::Given(start.clone()),
            max_iter: iterations,
            tolerance: 0.0,
            ..Options::new(k)
        };
        let settings = Settings {
            precision,
            ..settings.clone()
        };
        let values = Rows {
            values: &rows,
            dims,
            weights: None,
        };
        let begin = Instant::now();
        let fit = cuda::fit(&values, &options, &settings, &clock)?;
        let whole = begin.elapsed().as_secs_f64();
        let ends = clock.0.into_inner().map_err(|_| "the clock broke")?;
        let mut steps: Vec<f64> = ends
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect();
        steps.sort_by(f64::total_cmp);
        let step = *steps
            .get(steps.len() / 2)
            .ok_or("it settled before an iteration could be timed")?;
        let own = 2.0 * n_rows as f64 * dims as f64 * k as f64 / step / 1e12;
        say(&format!(
            "time\t{n_rows}x{dims} k={k}\tmlk8s {name}\t{:.3}\t{own:.1}\t{rate:.1}\t{:.3}\t{whole:.2}\t{}",
            step * 1e3,
            own / rate,
            fit.inertia
        ));
    }
    Ok(())
}

/// TFLOP/s of cuBLAS with numbers of a precision: the best of five products of 8192³.
fn gemm_rate(precision: Precision) -> Result<f64, Failure> {
    let size = 8192_usize;
    let (kind, compute, words) = match precision {
        Precision::F32 => (Type::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F, size * size),
        Precision::Tf32 => (
            Type::CUDA_R_32F,
            Compute::CUBLAS_COMPUTE_32F_FAST_TF32,
            size * size,
        ),
        Precision::Bf16 => (
            Type::CUDA_R_16BF,
            Compute::CUBLAS_COMPUTE_32F,
            size * size / 2,
        ),
    };
    let stream = CudaContext::new(0)?.new_stream()?;
    // Numbers near 1 in each format: the power that a card draws depends on them.
    let noise: Vec<u32> = (0..words as u32)
        .map(|at| 0x3f80_3f80 ^ (at.wrapping_mul(2_654_435_761) & 0x003f_003f))
        .collect();
    let (a, b) = (stream.clone_htod(&noise)?, stream.clone_htod(&noise)?);
    let mut c = stream.alloc_zeros::<f32>(size * size)?;
    let handle = CudaBlas::new(stream.clone())?;
    let (one, zero) = (1.0_f32, 0.0_f32);
    let n = i32::try_from(size)?;
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        stream.synchronize()?;
        let begin = Instant::now();
        let ((a, _a), (b, _b), (c, _c)) = (
            a.device_ptr(&stream),
            b.device_ptr(&stream),
            c.device_ptr_mut(&stream),
        );
        // SAFETY: three square matrices of that size, on the stream of the handle.
        unsafe {
            blas::gemm_ex(
                *handle.handle(),
                Operation::CUBLAS_OP_T,
                Operation::CUBLAS_OP_N,
                n,
                n,
                n,
                (&raw const one).cast(),
                a as *const c_void,
                kind,
                n,
                b as *const c_void,
                kind,
                n,
                (&raw const zero).cast(),
                c as *mut c_void,
                Type::CUDA_R_32F,
                n,
                compute,
                Algorithm::CUBLAS_GEMM_DEFAULT,
            )?;
        }
        stream.synchronize()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(2.0 * (size as f64).powi(3) / best / 1e12)
}
