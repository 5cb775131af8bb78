//! Times k-means over answers and over sparse rows, and writes the same data for a peer (`benches/kmeans_answers.py`).
//!
//! `mlk8s-kmeans-answers ROWS QUESTIONS LEVELS K ITERATIONS [FOLDER]`: made-up survey data, given first centroids, no early stop. With
//! a folder, `codes.u16` (rows × questions) and `first.f32` (K rows of answers, as centroids) are written to it.

use std::io::Write;
use std::time::Instant;
use std::{env, fs, io};

use mlk8s_clustering::{Codes, Csr, Points};
use rayon::prelude::*;

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
    let first = first_centroids(&codes, k);
    let start = Instant::now();
    let inertia = lloyd(&codes, first.clone(), k, iterations);
    writeln!(
        out,
        "codes {:.3} s, inertia {inertia:.0}",
        start.elapsed().as_secs_f64()
    )?;
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
        let start = Instant::now();
        let inertia = lloyd(&csr, first, k, iterations);
        writeln!(
            out,
            "csr {:.3} s, inertia {inertia:.0}",
            start.elapsed().as_secs_f64()
        )?;
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

/// Plain Lloyd iterations; the inertia of the last assignment.
fn lloyd<P: Points>(points: &P, mut centroids: Vec<f32>, k: usize, iterations: usize) -> f64 {
    let (n_rows, dims, block) = (points.rows(), points.dims(), points.block());
    let mut labels = vec![0; n_rows];
    let mut scores = vec![0.0; n_rows];
    let mut norms = vec![0.0; n_rows];
    points.squared_norms(0..n_rows, &mut norms);
    let mut sums = vec![0.0; k * dims];
    let mut inertia = 0.0;
    for _ in 0..iterations {
        let ready = points.ready(&centroids, k);
        let blocks = labels
            .par_chunks_mut(block)
            .zip(scores.par_chunks_mut(block))
            .enumerate();
        blocks.for_each(|(number, (labels, scores))| {
            points.nearest(
                number * block..number * block + labels.len(),
                &ready,
                labels,
                scores,
            );
        });
        inertia = scores
            .iter()
            .zip(&norms)
            .map(|(&score, &norm)| 2.0 * f64::from(score) + f64::from(norm))
            .sum();
        sums.fill(0.0);
        points.add_all(&labels, None, &mut sums);
        let mut sizes = vec![0_usize; k];
        for &label in &labels {
            sizes[label as usize] += 1;
        }
        for (cluster, &size) in sizes.iter().enumerate().filter(|&(_, &size)| size > 0) {
            let sums = &sums[cluster * dims..][..dims];
            for (into, &sum) in centroids[cluster * dims..][..dims].iter_mut().zip(sums) {
                *into = (sum / size as f64) as f32;
            }
        }
    }
    inertia
}
