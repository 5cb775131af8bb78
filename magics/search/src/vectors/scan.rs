//! Exact nearest neighbours by looking at every vector: codes first, then the values of those that may be among the best.
//!
//! For a unit query q and a vector x with codes that stand for x' and lost x − x', Cauchy–Schwarz bounds what the codes can be
//! wrong by: |q·x − q'·x'| ≤ |x − x'| + |q − q'|·|x'|. Only vectors whose upper bound reaches the k-th best lower bound are
//! computed in full, so the result is that of a scan over all values, from a quarter of the memory traffic.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::bits::Bits;
use super::dot;
use super::graph::Coded;
use super::segment::Segment;
use super::top::{Scored, Top};

/// Vectors that one task looks at.
const TASK: usize = 8192;
/// Vectors whose scores are computed before any is looked at.
const BLOCK: usize = 256;
/// What sums of floats may be wrong by, generously.
const ROUNDING: f32 = 1e-5;
/// A filter that keeps less than one in so many is followed vector by vector.
const SPARSE: usize = 16;

/// A query of unit length with its codes.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    values: Vec<f32>,
    codes: Vec<i8>,
    scale: f32,
    /// 128 times the sum of the codes: what the offset of the codes of vectors adds.
    offset: i32,
    /// Length of what coding the query lost.
    lost: f32,
}

impl Probe {
    /// Codes a query of unit length.
    pub(crate) fn new(query: &[f32]) -> Self {
        let mut values = query.to_vec();
        values.resize(query.len().next_multiple_of(dot::FLOATS), 0.0);
        let most = query.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let scale = (most / 127.0).max(f32::MIN_POSITIVE);
        let mut codes: Vec<i8> = query.iter().map(|v| (v / scale).round() as i8).collect();
        let lost: f64 = query
            .iter()
            .zip(&codes)
            .map(|(v, &code)| f64::from(v - f32::from(code) * scale).powi(2))
            .sum();
        codes.resize(query.len().next_multiple_of(dot::CODES), 0);
        Self {
            values,
            offset: 128 * codes.iter().map(|&code| i32::from(code)).sum::<i32>(),
            codes,
            scale,
            lost: lost.sqrt() as f32 * 1.0001 + 1e-6,
        }
    }

    /// Its codes.
    pub(super) fn coded(&self) -> Coded {
        Coded {
            codes: self.codes.clone(),
            scale: self.scale,
            offset: self.offset,
        }
    }

    /// Cosine with one vector of a segment.
    pub(crate) fn cosine(&self, segment: &Segment, position: usize) -> f32 {
        let mut out = [0.0];
        dot::floats(
            &self.values,
            segment.values(position..position + 1),
            &mut out,
        );
        out[0]
    }
}

/// How vectors are looked through; both ways give the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scan {
    /// All codes of 8 bits, then the values of those that may be among the best.
    #[default]
    Codes,
    /// All values.
    Values,
}

/// The `k` nearest of the rows in `mask`, best first.
pub(crate) fn nearest(
    segments: &[Segment],
    probe: &Probe,
    mask: &Bits,
    k: usize,
    scan: Scan,
) -> Vec<Scored> {
    let n: usize = segments.iter().map(Segment::len).sum();
    let selected = mask.count();
    if selected == 0 {
        return Vec::new();
    }
    let tasks: Vec<(&Segment, Range<usize>)> = segments.iter().flat_map(tasks).collect();
    let best = |(segment, range): &(&Segment, Range<usize>)| {
        if selected * SPARSE < n {
            sparse(segment, probe, mask, k, range.clone())
        } else {
            values(segment, probe, mask, k, range.clone())
        }
    };
    // Where nearly everything is asked for, codes save nothing.
    if selected * SPARSE < n || scan == Scan::Values || k * 8 > n {
        let tops = tasks.par_iter().map(best);
        return tops.reduce(|| Top::new(k), Top::merge).into_sorted();
    }
    coded(&tasks, probe, mask, k)
}

fn tasks(segment: &Segment) -> impl Iterator<Item = (&Segment, Range<usize>)> {
    (0..segment.len())
        .step_by(TASK)
        .map(move |start| (segment, start..(start + TASK).min(segment.len())))
}

/// Only the vectors of the mask, one by one.
fn sparse(segment: &Segment, probe: &Probe, mask: &Bits, k: usize, range: Range<usize>) -> Top {
    let mut top = Top::new(k);
    for position in range {
        let row = segment.rows()[position];
        if mask.get(row) {
            top.push(row, probe.cosine(segment, position));
        }
    }
    top
}

/// All values, block by block.
fn values(segment: &Segment, probe: &Probe, mask: &Bits, k: usize, range: Range<usize>) -> Top {
    let mut top = Top::new(k);
    let mut scores = [0.0_f32; BLOCK];
    for start in range.clone().step_by(BLOCK) {
        let block = start..(start + BLOCK).min(range.end);
        let scores = &mut scores[..block.len()];
        dot::floats(&probe.values, segment.values(block.clone()), scores);
        for (&row, &score) in segment.rows()[block].iter().zip(&*scores) {
            if score >= top.floor() && mask.get(row) {
                top.push(row, score);
            }
        }
    }
    top
}

/// A vector that may be among the best.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    segment: &'a Segment,
    position: usize,
    /// Its score is not above this.
    ceiling: f32,
}

fn coded(tasks: &[(&Segment, Range<usize>)], probe: &Probe, mask: &Bits, k: usize) -> Vec<Scored> {
    let floor = Floor::new();
    let found: Vec<(Vec<Candidate>, Top)> = tasks
        .par_iter()
        .map(|(segment, range)| candidates(segment, probe, mask, k, range.clone(), &floor))
        .collect();
    let (candidates, lows): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let lows = lows.into_iter().fold(Top::new(k), Top::merge).into_sorted();
    let least = if lows.len() < k {
        f32::NEG_INFINITY
    } else {
        lows[k - 1].score
    };
    let kept: Vec<Candidate> = candidates
        .into_iter()
        .flatten()
        .filter(|candidate| candidate.ceiling >= least)
        .collect();
    let exact = |top: Top, candidate: &Candidate| {
        let mut top = top;
        let row = candidate.segment.rows()[candidate.position];
        top.push(row, probe.cosine(candidate.segment, candidate.position));
        top
    };
    let tops = kept
        .par_iter()
        .with_min_len(256)
        .fold(|| Top::new(k), exact);
    tops.reduce(|| Top::new(k), Top::merge).into_sorted()
}

/// Vectors of a range that the codes cannot rule out, and the best of the lower bounds.
fn candidates<'a>(
    segment: &'a Segment,
    probe: &Probe,
    mask: &Bits,
    k: usize,
    range: Range<usize>,
    floor: &Floor,
) -> (Vec<Candidate<'a>>, Top) {
    let (mut found, mut lows) = (Vec::new(), Top::new(k));
    let mut sums = [0_i32; BLOCK];
    let mut ceilings = [0.0_f32; BLOCK];
    let (rows, scales, errors) = (segment.rows(), segment.scales(), segment.errors());
    for start in range.clone().step_by(BLOCK) {
        let block = start..(start + BLOCK).min(range.end);
        let n = block.len();
        dot::codes(&probe.codes, segment.codes(block.clone()), &mut sums[..n]);
        let mut least = floor.get();
        let marks = scales[block.clone()].iter().zip(&errors[block.clone()]);
        for ((ceiling, &sum), (&scale, &error)) in ceilings.iter_mut().zip(&sums[..n]).zip(marks) {
            let score = (sum - probe.offset) as f32 * (scale * probe.scale);
            *ceiling = score + slack(error, probe.lost);
        }
        for (position, &ceiling) in block.zip(&ceilings[..n]) {
            if ceiling >= least && mask.get(rows[position]) {
                found.push(Candidate {
                    segment,
                    position,
                    ceiling,
                });
                let low = ceiling - 2.0 * slack(errors[position], probe.lost);
                if lows.push(rows[position], low) {
                    least = floor.raise(lows.floor());
                }
            }
        }
    }
    let least = floor.get();
    found.retain(|candidate: &Candidate| candidate.ceiling >= least);
    (found, lows)
}

/// What the codes of a vector and of the query can be wrong by together.
fn slack(error: f32, lost: f32) -> f32 {
    error + lost * (1.0 + error) + ROUNDING
}

/// The best lower bound of a k-th score that any thread knows; it only ever rises, and every true result stays above it.
#[derive(Debug)]
struct Floor(AtomicU32);

impl Floor {
    fn new() -> Self {
        Self(AtomicU32::new(f32::NEG_INFINITY.to_bits()))
    }
    fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
    fn raise(&self, to: f32) -> f32 {
        let higher = |bits: u32| (f32::from_bits(bits) < to).then(|| to.to_bits());
        // An error says that it was as high already.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, higher);
        self.get()
    }
}
