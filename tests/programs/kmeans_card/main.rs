//! Checks the k-means on the card of this machine against plain code, and times it; `tests/benches/gpu` runs it.
//!
//! `kmeans_card check | time ROWS DIMS K ITERATIONS [--libraries FOLDER]… [--on cpu]`. Lines are tab-separated. Ends with 3
//! where there is no card, with 1 where a check fails. With `--on cpu` the processor takes the part of the card: a
//! rehearsal, for machines without one.

mod gemm;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use cudarc::driver::CudaContext;
use mlk8s_clustering::cuda::{self, Precision, Rows, Settings};
use mlk8s_clustering::{Dense, Fit, Init, Iteration, Options, Silent, Watch, kmeans};
use rayon::prelude::*;

type Failure = Box<dyn std::error::Error>;

/// What is asked for most comes first.
const PRECISIONS: [(Precision, &str); 3] = [
    (Precision::Tf32, "tf32"),
    (Precision::Bf16, "bf16"),
    (Precision::F32, "f32"),
];
const USAGE: &str =
    "kmeans_card check | time ROWS DIMS K ITERATIONS [--libraries FOLDER]… [--on cpu]";

/// Where rows are grouped.
enum Place {
    Card(Settings),
    Processor,
}

impl Place {
    fn fit(
        &self,
        (rows, dims): (&[f32], usize),
        options: &Options,
        (precision, memory): (Precision, Option<u64>),
        watch: &dyn Watch,
    ) -> Result<Fit, Failure> {
        let Place::Card(settings) = self else {
            return Ok(kmeans::fit(&Dense::new(rows, dims)?, None, options, watch)?);
        };
        let settings = Settings {
            precision,
            memory,
            ..settings.clone()
        };
        let rows = Rows {
            values: rows,
            dims,
            weights: None,
        };
        Ok(cuda::fit(&rows, options, &settings, watch)?)
    }
}

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
    let (mut words, mut on) = (Vec::new(), "card");
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--libraries" => {
                let folder = arguments.next().ok_or("--libraries wants a folder")?;
                settings.libraries.push(PathBuf::from(folder));
            }
            "--on" => on = arguments.next().ok_or("--on wants `cpu` or `card`")?,
            word => words.push(word),
        }
    }
    let place = match on {
        "cpu" => Place::Processor,
        "card" => Place::Card(settings),
        _ => return Err(USAGE.into()),
    };
    // Taken once and kept: a context that nobody holds is made anew for each fit.
    let mut context = None;
    match &place {
        Place::Processor => say("device\tno card: the processor, in a rehearsal\t\t"),
        Place::Card(settings) => match cuda::available(settings) {
            Ok(device) => {
                context = Some(CudaContext::new(0)?);
                let (major, minor) = device.compute;
                let memory = device.memory >> 20;
                say(&format!(
                    "device\t{}\tcompute {major}.{minor}\t{memory} MiB",
                    device.name
                ));
            }
            Err(missing) => {
                say(&format!("unavailable\t{missing}\t{}", missing.hint()));
                return Ok(ExitCode::from(3));
            }
        },
    }
    let done = match words[..] {
        ["check"] => check(&place),
        ["time", rows, dims, k, iterations] => {
            let shape = (rows.parse()?, dims.parse()?, k.parse()?);
            time(&place, shape, iterations.parse()?)
        }
        _ => Err(USAGE.into()),
    };
    drop(context);
    done
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
fn check(place: &Place) -> Result<ExitCode, Failure> {
    let mut good = true;
    for (n_rows, dims, k) in [
        (20_000, 384, 64),
        (30_001, 3, 17),
        (5_003, 1_024, 33),
        (20_000, 96, 1_000),
        // So many that each block of Hopper's kernel goes on to other rows, for all widths of it.
        (60_001, 128, 300),
        (60_001, 384, 300),
        (40_001, 700, 200),
        (20_001, 1_024, 200),
    ] {
        let rows = scattered(n_rows, dims, k);
        let start = rows[..k * dims].to_vec();
        let wanted = plain(&rows, dims, &start, 3);
        let options = Options {
            init: Init::Given(start),
            max_iter: 3,
            tolerance: 0.0,
            ..Options::new(k)
        };
        let part = (n_rows * dims * 2 + n_rows * 40 + k * dims * 64 + (8 << 20)) as u64;
        for (precision, name) in PRECISIONS {
            let fit = |memory| place.fit((&rows, dims), &options, (precision, memory), &Silent);
            let (once, again, streamed) = (fit(None)?, fit(None)?, fit(Some(part))?);
            let ratio = once.inertia / wanted - 1.0;
            // bf16 groups rounded rows.
            let most = if precision == Precision::Bf16 {
                1e-3
            } else {
                1e-5
            };
            let (near, same) = (ratio.abs() <= most, once == again);
            let alike = (streamed.inertia / once.inertia - 1.0).abs() < 1e-6;
            let right = near && same && alike;
            say(&format!(
                "check\t{n_rows}x{dims} k={k}\t{name}\t{ratio:e}\t{}\t{same}\t{alike}",
                verdict(right)
            ));
            good &= right;
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

/// Milliseconds of an iteration (median), and its rate as a share of the rates of cuBLAS on this card: with large square
/// matrices, and with matrices of this shape.
fn time(
    place: &Place,
    (n_rows, dims, k): (usize, usize, usize),
    iterations: usize,
) -> Result<ExitCode, Failure> {
    let rows = scattered(n_rows, dims, k);
    // Not the points themselves: rows must go on moving.
    let start: Vec<f32> = (0..k)
        .flat_map(|cluster| rows[cluster * 7 % n_rows * dims..][..dims].to_vec())
        .collect();
    let options = Options {
        init: Init::Given(start),
        max_iter: iterations,
        tolerance: 0.0,
        ..Options::new(k)
    };
    let mut inertias = Vec::new();
    for (precision, name) in PRECISIONS {
        let rates = match place {
            Place::Card(_) => [gemm::SQUARE, gemm::Shape::of(n_rows, dims, k)]
                .map(|shape| gemm::rate(precision, shape))
                .into_iter()
                .collect::<Result<Vec<f64>, Failure>>()?,
            Place::Processor => Vec::new(),
        };
        let clock = Clock(Mutex::default());
        let begin = Instant::now();
        let fit = place.fit((&rows, dims), &options, (precision, None), &clock)?;
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
        let beside = |number: usize| {
            rates.get(number).map_or("\t".to_owned(), |rate| {
                format!("{rate:.1}\t{:.3}", own / rate)
            })
        };
        say(&format!(
            "time\t{n_rows}x{dims} k={k}\tmlk8s {name}\t{:.3}\t{own:.1}\t{}\t{whole:.2}\t{}\t{}",
            step * 1e3,
            beside(0),
            fit.inertia,
            beside(1)
        ));
        inertias.push(fit.inertia);
    }
    // What is timed must be right, too: rounded products leave the labels of f32.
    let ratio = inertias[0] / inertias[2] - 1.0;
    let right = ratio.abs() <= 1e-5;
    say(&format!(
        "check\t{n_rows}x{dims} k={k}, timed\ttf32 beside f32\t{ratio:e}\t{}\t\t",
        verdict(right)
    ));
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
