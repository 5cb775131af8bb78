//! Times k-means over answers and over sparse rows, and writes the same data for a peer (`benches/kmeans_answers.py`).
//!
//! `mlk8s-kmeans-answers ROWS QUESTIONS LEVELS K ITERATIONS [FOLDER]`: made-up survey data, the first rows as first centroids, no
//! tolerance. With a folder, `codes.u16` (rows × questions) is written to it.

use std::io::Write;
use std::time::Instant;
use std::{env, fs, io};

use mlk8s_clustering::kmeans::fit;
use mlk8s_clustering::{Codes, Csr, Init, Options, Points, Silent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number =
        |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (n_rows, questions, levels) = (number(0, 100_000)?, number(1, 100)?, number(2, 400)?);
    let (k, iterations) = (number(3, 20)?, number(4, 10)?);
    let answers = survey(n_rows, questions, levels, k);
    if let Some(folder) = arguments.get(5) {
        fs::write(
            format!("{folder}/codes.u16"),
            answers
                .iter()
                .flat_map(|code| code.to_le_bytes())
                .collect::<Vec<u8>>(),
        )?;
    }
    let mut out = io::stdout().lock();
    let codes = Codes::from_rows(&answers, &vec![levels; questions])?;
    let options = Options {
        init: Init::Given(first_centroids(&codes, k)),
        tolerance: 0.0,
        max_iter: iterations,
        ..Options::new(k)
    };
    time("codes", &codes, &options, &mut out)?;
    if n_rows <= 200_000 {
        let indices = answers
            .iter()
            .enumerate()
            .map(|(at, &code)| (at % questions * levels) as u32 + u32::from(code));
        let indptr = (0..=n_rows).map(|row| row * questions).collect();
        let csr = Csr::new(
            questions * levels,
            indptr,
            indices.collect(),
            vec![1.0; answers.len()],
        )?;
        time("csr", &csr, &options, &mut out)?;
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|line| line.starts_with("VmHWM"))
            .try_for_each(|line| writeln!(out, "{line}"))?;
    }
    Ok(())
}

/// Row-major answers: each of `k` kinds of person has a favourite answer to each question and gives it in three of ten
/// cases.
fn survey(n_rows: usize, questions: usize, levels: usize, k: usize) -> Vec<u16> {
    let mut rng = fastrand::Rng::with_seed(7);
    let favourites: Vec<u16> = (0..k * questions)
        .map(|_| rng.usize(..levels) as u16)
        .collect();
    let mut answers = Vec::with_capacity(n_rows * questions);
    for _ in 0..n_rows {
        let kind = rng.usize(..k);
        for question in 0..questions {
            let favourite = favourites[kind * questions + question];
            answers.push(if rng.f32() < 0.3 {
                favourite
            } else {
                rng.usize(..levels) as u16
            });
        }
    }
    answers
}

fn first_centroids(codes: &Codes, k: usize) -> Vec<f32> {
    let mut first = vec![0.0; k * Points::dims(codes)];
    for (row, centroid) in first.chunks_mut(Points::dims(codes)).enumerate() {
        codes.copy(row, centroid);
    }
    first
}

/// Groups the rows and writes how long it took, the inertia and the iterations.
fn time<P: Points>(
    name: &str,
    points: &P,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let found = fit(points, None, options, &Silent)?;
    let seconds = start.elapsed().as_secs_f64();
    let (inertia, iterations) = (found.inertia, found.iterations);
    writeln!(
        out,
        "{name} {seconds:.3} s, inertia {inertia:.0}, iterations {iterations}"
    )?;
    Ok(())
}
