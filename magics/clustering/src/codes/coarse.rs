//! Nearest centroids by whole numbers of 16 bits, which are read and added at half the cost of numbers of 32; rows that
//! these leave open are told by the sums of 32 bits, so that the labels are those of [`crate::gather::Tiles::nearest`].
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the wider instructions"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd, bytemuck};
use rayon::prelude::*;

use super::Codes;
use crate::gather::{self, Wholes};

/// Numbers of 16 bits on one cache line: one register of AVX-512, two of AVX2.
const LINE: usize = 32;
/// Lines of an entry: as many as leave registers for the loads.
const MAX_LINES: usize = 4;
/// The largest sum.
const MOST: f64 = u16::MAX as f64;
/// Errors beyond this share of the largest sum leave too many rows open.
const LARGEST_ERROR: f64 = MOST / 16.0;
/// By how much an entry may be wrong: half for its rounding, and a little for that of what is rounded.
const ENTRY_ERROR: f64 = 0.5 + 1.0 / 64.0;
/// A number of 32 bits plus this, a power of two, has its nearest whole number in its low bits.
const WHOLE: f32 = (1_u32 << 23) as f32;
/// Whole numbers up to this are exact in 32 bits, and so are their sums.
const EXACT: f64 = (1_u32 << 24) as f64;

/// Centroids in whole numbers.
///
/// The entry of a centroid for an answer is by how much it is farther from rows with that answer than the nearest
/// centroid is: what all centroids share says nothing about which is nearest. All are scaled so that no sum exceeds 16 bits.
#[derive(Debug)]
pub(crate) struct Coarse<'a> {
    codes: &'a Codes,
    centroids: &'a [f32],
    half_norms: Vec<f32>,
    /// `questions × k`, see [`Codes::shift_of`].
    shifts: Vec<f64>,
    k: usize,
    /// What a sum begins with; the largest number where the centroids end, so that no smallest is found there.
    start: Vec<u16>,
    /// Entries, behind as many unused values as bring the first to a cache line.
    entries: Vec<u16>,
    aligned: usize,
    /// Of two sums that are farther apart than this, the smaller is that of the nearer centroid.
    error: u16,
}

/// The parts of scores that the levels of a question give.
struct Parts {
    /// The least of all centroids, by level.
    least: Vec<f32>,
    /// The largest difference between centroids.
    span: f64,
    /// The largest absolute value.
    longest: f64,
    /// Whether all are whole numbers, as those of centroids that are rows.
    whole: bool,
}

/// From parts of scores to whole numbers.
struct Scale {
    factor: f32,
    error: u16,
}

impl<'a> Coarse<'a> {
    /// Makes centroids (row-major `k × dims`) ready; `None` where 16 bits would tell too little.
    pub(crate) fn new(codes: &'a Codes, centroids: &'a [f32], k: usize) -> Option<Coarse<'a>> {
        if k > LINE * MAX_LINES {
            return None;
        }
        let dims = codes.one_hot();
        let stride = k.next_multiple_of(LINE);
        let shifts = (0..codes.questions()).flat_map(|question| {
            let clusters = centroids.chunks_exact(dims);
            clusters.map(move |centroid| codes.shift_of(question, |column| -centroid[column]))
        });
        let shifts: Vec<f64> = shifts.collect();
        let mut coarse = Coarse {
            codes,
            centroids,
            half_norms: gather::half_norms(centroids, dims),
            shifts,
            k,
            start: vec![u16::MAX; stride],
            entries: Vec::new(),
            aligned: 0,
            error: 0,
        };
        let questions = (0..codes.questions()).into_par_iter();
        let parts: Vec<Parts> = questions.map(|question| coarse.parts(question)).collect();
        let scale = coarse.scale(&parts)?;
        coarse.error = scale.error;
        coarse.fill(&parts, scale.factor);
        Some(coarse)
    }

    /// Labels `rows` with their nearest centroids, the first of equals; the sums of 32 bits that it took.
    pub(crate) fn label(&self, rows: Range<usize>, labels: &mut [u32]) -> usize {
        Arch::new().dispatch(Search {
            coarse: self,
            rows,
            labels,
        })
    }

    /// The parts of the scores of a centroid that the levels of a question give.
    fn parts_of(&self, question: usize, cluster: usize, into: &mut [f32]) {
        let (codes, columns) = (self.codes, self.codes.columns(question));
        let centroid = &self.centroids[cluster * codes.one_hot()..][..codes.one_hot()];
        if codes.scale.is_none() && codes.centre.is_none() {
            for (part, &value) in into.iter_mut().zip(&centroid[columns]) {
                *part = -value;
            }
            return;
        }
        let shift = self.shifts[question * self.k + cluster];
        for (part, column) in into.iter_mut().zip(columns) {
            *part = codes.part(column, -centroid[column], shift);
        }
    }

    fn parts(&self, question: usize) -> Parts {
        let levels = self.codes.levels(question);
        let mut parts = vec![0.0; levels];
        let (mut least, mut most) = (vec![f32::INFINITY; levels], vec![f32::NEG_INFINITY; levels]);
        let mut whole = true;
        for cluster in 0..self.k {
            self.parts_of(question, cluster, &mut parts);
            for ((least, most), &part) in least.iter_mut().zip(&mut most).zip(&parts) {
                *least = if part < *least { part } else { *least };
                *most = if part > *most { part } else { *most };
            }
            whole = whole && parts.iter().all(|&part| is_whole(part));
        }
        let mut found = Parts {
            least,
            span: 0.0,
            longest: 0.0,
            whole,
        };
        for (&least, &most) in found.least.iter().zip(&most) {
            let (least, most) = (f64::from(least), f64::from(most));
            found.span = found.span.max(most - least);
            found.longest = found.longest.max(most.abs()).max(least.abs());
        }
        found
    }

    /// The largest scale with which no sum exceeds 16 bits.
    fn scale(&self, parts: &[Parts]) -> Option<Scale> {
        let halves = || self.half_norms.iter().map(|&half| f64::from(half));
        let (least, most) = halves().fold((f64::INFINITY, 0.0), |(least, most), half| {
            (half.min(least), half.max(most))
        });
        let span = most - least + parts.iter().map(|parts| parts.span).sum::<f64>();
        let longest = most + parts.iter().map(|parts| parts.longest).sum::<f64>();
        let rounding = ENTRY_ERROR * (parts.len() + 1) as f64;
        let mut factor = (MOST - rounding) * (1.0 - f64::from(f32::EPSILON)) / span;
        let normal = f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX);
        if span <= 0.0 {
            factor = 1.0;
        }
        if !normal.contains(&factor) || !longest.is_finite() {
            return None;
        }
        let whole = parts.iter().all(|parts| parts.whole)
            && self.half_norms.iter().all(|&half| is_whole(2.0 * half));
        if whole && factor >= 2.0 && 2.0 * longest <= EXACT {
            let factor = 2.0_f64.powi(factor.log2() as i32) as f32;
            return Some(Scale { factor, error: 0 });
        }
        // Sums of 32 bits err by this relative to the sum of the absolute values (Higham 2002, section 3.1), doubled.
        let singles = parts.len() as f64 * f64::from(f32::EPSILON);
        let error = 2.0 * (rounding + singles * longest * factor);
        (error <= LARGEST_ERROR).then_some(Scale {
            factor: factor as f32,
            error: error.ceil() as u16,
        })
    }

    /// Writes the start and the entries.
    fn fill(&mut self, parts: &[Parts], factor: f32) {
        let least = self
            .half_norms
            .iter()
            .copied()
            .fold(f32::INFINITY, f32::min);
        let rounded = |value: f32, least: f32| ((value - least) * factor + WHOLE).to_bits() as u16;
        for (start, &half) in self.start.iter_mut().zip(&self.half_norms) {
            *start = rounded(half, least);
        }
        let stride = self.start.len();
        let n_entries = self.codes.one_hot() + self.codes.questions();
        let mut entries = vec![0; n_entries * stride + LINE];
        let aligned = entries.as_ptr().align_offset(LINE * size_of::<u16>());
        self.aligned = aligned.min(LINE);
        let mut rest = &mut entries[self.aligned..];
        let mut of_question = Vec::with_capacity(parts.len());
        for parts in parts {
            let (these, tail) = rest.split_at_mut((parts.least.len() + 1) * stride);
            of_question.push(these);
            rest = tail;
        }
        let questions = of_question.into_par_iter().zip(parts).enumerate();
        questions.for_each(|(question, (entries, parts))| {
            let mut values = vec![0.0; parts.least.len()];
            for cluster in 0..self.k {
                self.parts_of(question, cluster, &mut values);
                let entries = entries[cluster..].iter_mut().step_by(stride);
                for ((entry, &value), &least) in entries.zip(&values).zip(&parts.least) {
                    *entry = rounded(value, least);
                }
            }
        });
        self.entries = entries;
    }

    /// The centroid with the least score of 32 bits, the first of equals, of those whose sums are at most `most`; and how
    /// many these are.
    #[inline(never)]
    fn settle(&self, row: usize, sums: &[u16], most: u16) -> (u32, usize) {
        let (codes, dims) = (self.codes, self.codes.one_hot());
        let answers = (0..codes.questions()).map(|question| (question, codes.raw(row, question)));
        let answered: Vec<(usize, usize)> = answers
            .filter(|&(question, code)| code < codes.levels(question))
            .map(|(question, code)| (question, codes.offset(question) + code))
            .collect();
        let plain = codes.scale.is_none() && codes.centre.is_none();
        let (mut best, mut label, mut looked) = (f32::INFINITY, 0, 0);
        let near = (0..self.k).filter(|&cluster| sums[cluster] <= most);
        for cluster in near {
            let centroid = &self.centroids[cluster * dims..][..dims];
            let mut score = self.half_norms[cluster];
            for &(question, column) in &answered {
                score += if plain {
                    -centroid[column]
                } else {
                    let shift = self.shifts[question * self.k + cluster];
                    codes.part(column, -centroid[column], shift)
                };
            }
            if score < best {
                (best, label) = (score, cluster as u32);
            }
            looked += 1;
        }
        (label, looked)
    }
}

/// Whether 32 bits hold all whole numbers up to this one, and it is one.
fn is_whole(value: f32) -> bool {
    value.abs() < WHOLE && value - value as i32 as f32 == 0.0
}

/// The loop over rows, compiled once for each kind of processor and each size of an entry in its registers.
struct Search<'a, 'c> {
    coarse: &'a Coarse<'c>,
    rows: Range<usize>,
    labels: &'a mut [u32],
}

impl WithSimd for Search<'_, '_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        match self.coarse.start.len() / S::U16_LANES {
            1 => self.registers::<S, 1>(simd),
            2 => self.registers::<S, 2>(simd),
            3 => self.registers::<S, 3>(simd),
            4 => self.registers::<S, 4>(simd),
            6 => self.registers::<S, 6>(simd),
            8 => self.registers::<S, 8>(simd),
            12 => self.registers::<S, 12>(simd),
            16 => self.registers::<S, 16>(simd),
            32 => self.registers::<S, 32>(simd),
            64 => self.registers::<S, 64>(simd),
            96 => self.registers::<S, 96>(simd),
            _ => self.registers::<S, 128>(simd),
        }
    }
}

impl Search<'_, '_> {
    #[inline(always)]
    fn registers<S: Simd, const N: usize>(self, simd: S) -> usize {
        let coarse = self.coarse;
        let start: &[S::u16s] = bytemuck::cast_slice(&coarse.start);
        let entries = &coarse.entries[coarse.aligned..];
        let entries: &[S::u16s] =
            bytemuck::cast_slice(&entries[..entries.len() - entries.len() % coarse.start.len()]);
        let (Some(&start), entries) = (start.first_chunk::<N>(), entries.as_chunks::<N>().0) else {
            return 0;
        };
        let mut sums = vec![start; self.rows.len()];
        let codes = coarse.codes;
        codes.sum_answers::<Wholes, S, N>(simd, &self.rows, entries, &mut sums);
        let mut looked = 0;
        for ((row, sums), label) in self.rows.zip(&sums).zip(self.labels) {
            let sums: &[u16] = bytemuck::cast_slice(sums);
            let least = sums.iter().copied().fold(u16::MAX, u16::min);
            let most = least.saturating_add(coarse.error);
            let (mut near, mut first) = (0, u16::MAX);
            for (lane, &sum) in (0_u16..).zip(sums) {
                near += u16::from(sum <= most);
                first = first.min(if sum == least { lane } else { u16::MAX });
            }
            *label = u32::from(first);
            if near > 1 && coarse.error > 0 {
                let (settled, more) = coarse.settle(row, sums, most);
                *label = settled;
                looked += more;
            }
        }
        looked
    }
}
