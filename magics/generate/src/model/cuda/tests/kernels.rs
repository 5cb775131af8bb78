//! Attention alone, against the plain sum, over paged caches in any order of pages.

use candle_core::{DType, Device, Tensor};
use mlk8s_card::Shim;

use super::KERNELS;
use crate::forward::{Batch, PAGE, Part};
use crate::model::cuda::attention::{Cache, Heads};
use crate::model::cuda::plan::Tables;

const N_PAGES: usize = 48;

struct Case {
    dtype: DType,
    heads: Heads,
    window: usize,
    n_processors: usize,
    /// In which order threads run; see the shim.
    order: u32,
}

fn heads(n: usize, n_kv: usize, dim: usize, cap: f32) -> Heads {
    Heads {
        n,
        n_kv,
        dim,
        scale: 1.0,
        cap,
    }
}

/// Parts of these rows and lengths, their pages anywhere.
fn batch(parts: &[(usize, usize)], seed: u64) -> Batch {
    let mut pages: Vec<u32> = (0..N_PAGES as u32).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut pages);
    let mut batch = Batch::default();
    for (len, length) in parts {
        let start = batch.tokens.len();
        batch.tokens.resize(start + len, 0);
        batch.parts.push(Part {
            start,
            len: *len,
            length: *length,
            pages: pages.split_off(pages.len() - length.div_ceil(PAGE)),
        });
    }
    batch
}

fn random(random: &mut fastrand::Rng, n: usize, dtype: DType) -> Vec<f32> {
    let values: Vec<f32> = (0..n).map(|_| random.f32() * 2.0 - 1.0).collect();
    let values = Tensor::from_vec(values, n, &Device::Cpu).unwrap();
    let values = values.to_dtype(dtype).unwrap();
    values.to_dtype(DType::F32).unwrap().to_vec1().unwrap()
}

fn tensor(values: &[f32], shape: (usize, usize), dtype: DType) -> Tensor {
    let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    tensor.to_dtype(dtype).unwrap()
}

/// Keys, values and queries of a case.
struct Numbers {
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
}

impl Case {
    fn numbers(&self, batch: &Batch) -> Numbers {
        let mut rng = fastrand::Rng::with_seed(3);
        let cache = N_PAGES * self.heads.n_kv * PAGE * self.heads.dim;
        let mut numbers = Numbers {
            keys: random(&mut rng, cache, self.dtype),
            values: random(&mut rng, cache, self.dtype),
            queries: random(
                &mut rng,
                batch.tokens.len() * self.heads.n * self.heads.dim,
                self.dtype,
            ),
        };
        // What nobody has written must not be looked at, whatever it is.
        for part in &batch.parts {
            let behind = part.length..part.pages.len() * PAGE;
            for (position, kv) in behind.flat_map(|at| (0..self.heads.n_kv).map(move |kv| (at, kv)))
            {
                for d in 0..self.heads.dim {
                    let (key, value) = self.places(part, position, kv, d);
                    numbers.keys[key] = f32::NAN;
                    numbers.values[value] = f32::NAN;
                }
            }
        }
        numbers
    }

    /// Where the key and the value of a token lie.
    fn places(&self, part: &Part, position: usize, kv: usize, d: usize) -> (usize, usize) {
        let Heads { n_kv, dim, .. } = self.heads;
        let page = (part.pages[position / PAGE] as usize * n_kv + kv) * PAGE * dim;
        let (token, width) = (position % PAGE, 16 / self.dtype.size_in_bytes());
        let key = page + (d / width * PAGE + token) * width + d % width;
        (key, page + token * dim + d)
    }

    fn found(&self, batch: &Batch, numbers: &Numbers) -> (Vec<f32>, Vec<String>) {
        let Heads { n, n_kv, dim, .. } = self.heads;
        let launcher = Shim {
            n_processors: self.n_processors,
            order: self.order.into(),
            ..Shim::of(&KERNELS)
        };
        let spread = self.heads.spread(self.dtype, self.n_processors);
        let plan = Tables::new(batch, spread).send(&Device::Cpu).unwrap();
        let pages = (N_PAGES, n_kv * PAGE * dim);
        let cache = Cache {
            keys: tensor(&numbers.keys, pages, self.dtype),
            values: tensor(&numbers.values, pages, self.dtype),
        };
        let queries = tensor(&numbers.queries, (batch.tokens.len(), n * dim), self.dtype);
        let sums = self.heads.sums(&plan, &queries).unwrap();
        let out = self
            .heads
            .attend(&launcher, &plan, &queries, &cache, self.window, &sums)
            .unwrap();
        let out = out.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        let kernels = launcher.launched.lock().unwrap().clone();
        (out.to_vec1().unwrap(), kernels)
    }

    fn wanted(&self, batch: &Batch, numbers: &Numbers) -> Vec<f32> {
        let Heads {
            n, n_kv, dim, cap, ..
        } = self.heads;
        let mut out = Vec::new();
        for part in &batch.parts {
            for row in 0..part.len {
                let position = part.length - part.len + row;
                let first = if self.window == 0 {
                    0
                } else {
                    (position + 1).saturating_sub(self.window)
                };
                for head in 0..n {
                    let query = &numbers.queries[((part.start + row) * n + head) * dim..][..dim];
                    let kv = head / (n / n_kv);
                    let score = |token: usize| -> f64 {
                        let terms = (0..dim).map(|d| {
                            let key = numbers.keys[self.places(part, token, kv, d).0];
                            f64::from(query[d]) * f64::from(key)
                        });
                        let score: f64 = terms.sum();
                        if cap > 0.0 {
                            f64::from(cap) * (score / f64::from(cap)).tanh()
                        } else {
                            score
                        }
                    };
                    let scores: Vec<f64> = (first..=position).map(score).collect();
                    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> =
                        scores.iter().map(|score| (score - most).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for d in 0..dim {
                        let terms = weights.iter().zip(first..).map(|(weight, token)| {
                            weight * f64::from(numbers.values[self.places(part, token, kv, d).1])
                        });
                        out.push((terms.sum::<f64>() / total) as f32);
                    }
                }
            }
        }
        out
    }

    /// Compares, and gives the kernels that ran.
    fn check(&self, parts: &[(usize, usize)]) -> Vec<String> {
        let batch = batch(parts, 17);
        let numbers = self.numbers(&batch);
        let (found, launched) = self.found(&batch, &numbers);
        let wanted = self.wanted(&batch, &numbers);
        assert_eq!(found.len(), wanted.len());
        let tolerance = if self.dtype == DType::F32 { 1e-5 } else { 1e-2 };
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            // A number that is none fails, too.
            let near = (found - wanted).abs() <= tolerance;
            assert!(
                near,
                "{:?}, window {}, number {at}: {found}, not {wanted}",
                self.heads, self.window
            );
        }
        launched
    }
}

/// Windows and caps; 0 is none. Each is tried in another order of the threads.
const SIGHTS: [(usize, f32); 4] = [(0, 0.0), (20, 0.0), (0, 1.5), (70, 3.0)];

/// Single tokens, chunks and a whole prompt, at borders of pages and not.
const RAGGED: [(usize, usize); 4] = [(1, 1), (1, 33), (3, 64), (2, 300)];

#[test]
fn single_rows_attend_as_the_plain_sum_does() {
    for dtype in [DType::F32, DType::BF16] {
        for (n, n_kv, dim) in [
            (2, 2, 16),
            (4, 2, 40),
            (14, 2, 64),
            (5, 1, 96),
            (12, 1, 128),
            (4, 2, 256),
        ] {
            for (order, (window, cap)) in (0..).zip(SIGHTS) {
                let case = Case {
                    dtype,
                    heads: heads(n, n_kv, dim, cap),
                    window,
                    n_processors: 1,
                    order,
                };
                // Several rows of a sequence go another way where numbers are rounded.
                let parts = if dtype == DType::F32 {
                    RAGGED
                } else {
                    RAGGED.map(|(_, length)| (1, length))
                };
                let launched = case.check(&parts);
                assert!(launched[0].starts_with("attend_") && launched.len() == 1);
            }
        }
    }
}

#[test]
fn split_rows_come_together() {
    for dtype in [DType::F32, DType::BF16] {
        for (order, window) in (0..).zip([0, 40, 600]) {
            let case = Case {
                dtype,
                heads: heads(4, 2, 64, 0.0),
                window,
                n_processors: 8,
                order,
            };
            let launched = case.check(&[(1, 1000), (1, 20), (1, 257)]);
            assert_eq!(launched.len(), 2);
            assert!(launched[1].starts_with("merge_"));
        }
    }
}

#[test]
fn tiles_attend_as_the_plain_sum_does() {
    for (n, n_kv, dim) in [
        (4, 4, 16),
        (4, 2, 64),
        (7, 1, 64),
        (3, 1, 96),
        (8, 2, 128),
        (2, 1, 256),
    ] {
        for (order, (window, cap)) in (0..).zip(SIGHTS) {
            let case = Case {
                dtype: DType::BF16,
                heads: heads(n, n_kv, dim, cap),
                window,
                n_processors: 1,
                order,
            };
            let launched = case.check(&[(40, 40), (1, 90), (33, 101), (66, 130), (20, 64)]);
            assert_eq!(launched[0], format!("tiles_{dim}"));
            assert!(launched[1].starts_with("attend_"));
        }
    }
}
