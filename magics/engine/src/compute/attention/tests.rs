//! Attention against sums in double precision.

use pulp::{Simd, WithSimd};

use super::super::tests::{difference, numbers, on_each};
use super::*;

#[derive(Clone, Copy)]
struct Run<'a>(Heads, Sight, &'a [f32]);

impl WithSimd for Run<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self(heads, sight, qkv) = self;
        let mut out = vec![0.0; qkv.len() / 3];
        let attend = Attend {
            heads,
            sight,
            qkv,
            out: &mut out,
            scratch: &mut AttentionScratch::default(),
            stop: &|| false,
        };
        attend.with_simd(simd).unwrap();
        out
    }
}

fn plain(Heads { n, dim }: Heads, sight: Sight, qkv: &[f32]) -> Vec<f64> {
    let rows: Vec<&[f32]> = qkv.chunks_exact(3 * n * dim).collect();
    let mut out = Vec::new();
    for (i, query) in rows.iter().enumerate() {
        let sees = |j: usize| match sight {
            Sight::All => true,
            Sight::Before => j <= i,
            Sight::Near(most) => j.abs_diff(i) <= most,
        };
        for head in 0..n {
            let part = |row: &[f32], part: usize| row[(part * n + head) * dim..][..dim].to_vec();
            let weights: Vec<f64> = rows
                .iter()
                .enumerate()
                .map(|(j, row)| {
                    let products = part(query, 0).into_iter().zip(part(row, 1));
                    let score: f64 = products.map(|(a, b)| f64::from(a) * f64::from(b)).sum();
                    f64::from(u8::from(sees(j))) * (score / (dim as f64).sqrt()).exp()
                })
                .collect();
            let sum: f64 = weights.iter().sum();
            for k in 0..dim {
                let values = rows.iter().map(|row| f64::from(part(row, 2)[k]));
                out.push(values.zip(&weights).map(|(a, b)| a * b).sum::<f64>() / sum);
            }
        }
    }
    out
}

#[test]
fn every_instruction_set_is_exact() {
    let mut random = fastrand::Rng::with_seed(12);
    for (n_tokens, n, dim) in [
        (1, 2, 3),
        (5, 1, 16),
        (20, 3, 32),
        (49, 2, 10),
        (70, 1, 40),
        (300, 1, 8),
    ] {
        let qkv = numbers(&mut random, 3 * n_tokens * n * dim);
        let heads = Heads { n, dim };
        for sight in [
            Sight::All,
            Sight::Before,
            Sight::Near(0),
            Sight::Near(7),
            Sight::Near(64),
        ] {
            let wanted = plain(heads, sight, &qkv);
            for found in on_each(Run(heads, sight, &qkv)) {
                let error = difference(&found, &wanted);
                assert!(error < 2e-6, "{n_tokens} {heads:?} {sight:?}");
            }
        }
    }
}

#[test]
fn long_sequences_are_stopped() {
    let heads = Heads { n: 2, dim: 4 };
    let n_tokens = 2 * QUERIES;
    let qkv = vec![0.5; 3 * n_tokens * heads.n * heads.dim];
    let mut out = vec![0.0; qkv.len() / 3];
    let mut scratch = AttentionScratch::default();
    let stopped = heads.attend(Sight::All, &qkv, &mut out, &mut scratch, &|| true);
    assert_eq!(stopped, Err(Stopped));
}
