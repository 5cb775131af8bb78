//! Products of any format with any instructions.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::*;
use crate::model::instructions::Available;
use crate::model::processor::kind::Kind;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| random.f32() * 2.0 - 0.9).collect()
}

/// The largest difference between two lists, relative to the largest value.
fn difference(found: &[f32], wanted: &[f32]) -> f32 {
    let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let pairs = found.iter().zip(wanted);
    pairs.fold(0.0, |most: f32, (a, b)| {
        if (a - b).abs() <= most {
            most
        } else {
            (a - b).abs()
        }
    }) / largest
}

fn exact(matrix: &Matrix, x: &[f32], k: usize) -> Vec<f32> {
    let mut row = vec![0.0; k];
    let mut out = vec![0.0; x.len() / k * matrix.n()];
    for i in 0..matrix.n() {
        matrix.row(i, &mut row);
        for (at, x) in x.chunks_exact(k).enumerate() {
            let sum: f64 = x
                .iter()
                .zip(&row)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum();
            out[at * matrix.n() + i] = sum as f32;
        }
    }
    out
}

fn product(with: Available, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / matrix.k() * matrix.n()];
    multiply(
        with,
        x,
        &mut [Product {
            matrix,
            bias: &[],
            out: &mut out,
            add: false,
        }],
    );
    out
}

#[test]
fn products_are_those_of_the_values() {
    use GgmlDType as D;
    let (n, k) = (45, 512);
    for dtype in [D::F32, D::Q4_0, D::Q5_0, D::Q8_0, D::Q4K, D::Q5K, D::Q6K] {
        let values = random(n * k, 5);
        let tensor = Tensor::from_vec(values.clone(), (n, k), &Device::Cpu).unwrap();
        let matrix = match Kind::of(dtype) {
            Some(kind) => {
                let bytes = QTensor::quantize(&tensor, dtype).unwrap();
                Matrix::Packed(Packed::new(kind, &bytes.data().unwrap(), n, k).unwrap())
            }
            None => Matrix::Dense(Dense::new(n, k, |i| values[i])),
        };
        for m in [1, 2, 3, 5, 8, 9, 31, 38] {
            // These have codes without error, so that the products must be exact.
            let coarse: Vec<f32> = random(m * k, m as u64)
                .iter()
                .map(|x| (x * 60.0).round())
                .collect();
            let coarse: Vec<f32> = coarse
                .iter()
                .enumerate()
                .map(|(i, x)| if i % 32 == 7 { -127.0 } else { *x })
                .collect();
            let wanted = exact(&matrix, &coarse, k);
            for with in Available::all() {
                let name = format!("{dtype:?}, {}", with.which().name());
                let found = product(with, &matrix, &coarse);
                let error = difference(&found, &wanted);
                assert!(error < 1e-5, "{name} with {m} rows: {error}");
                let alone = product(with, &matrix, &coarse[..k]);
                assert_eq!(
                    alone,
                    found[..n],
                    "{name}: a row's bits depend on its neighbours"
                );
            }
        }
    }
}

const KINDS: [Kind; 6] = [
    Kind::Q4_0,
    Kind::Q5_0,
    Kind::Q8_0,
    Kind::Q4K,
    Kind::Q5K,
    Kind::Q6K,
];

/// A matrix of blocks of these bytes, under scales of about 1.
fn of_bytes(kind: Kind, n: usize, k: usize, mut byte: impl FnMut() -> u8) -> Packed {
    let mut bytes: Vec<u8> = (0..n * k / kind.block() * kind.block_bytes())
        .map(|_| byte())
        .collect();
    let one = half::f16::ONE.to_le_bytes();
    for block in bytes.chunks_exact_mut(kind.block_bytes()) {
        let scales = match kind {
            Kind::Q4K | Kind::Q5K => 0..4,
            Kind::Q6K => 208..210,
            _ => 0..2,
        };
        for (at, byte) in block[scales].iter_mut().enumerate() {
            *byte = one[at % 2];
        }
    }
    Packed::new(kind, &bytes, n, k).unwrap()
}

/// Products of the first tile with as many rows as a strip has at most.
fn products(with: Available, matrix: &Packed, x: &[f32]) -> Vec<f32> {
    let rows = Rows::new(with, x, matrix.k, matrix.kind.block());
    let mut out = [[0.0; TILE]; STRIP];
    let groups = &rows.strip(0)[..rows.n().div_ceil(GROUP)];
    multiply_tile(with, matrix, 0, groups, &mut out[..rows.n()]);
    out.as_flattened()[..rows.n() * TILE].to_vec()
}

#[test]
fn kernels_agree_with_each_other() {
    let k = 768;
    for kind in KINDS {
        let mut bytes = fastrand::Rng::with_seed(5);
        let matrix = of_bytes(kind, TILE, k, || bytes.u8(..));
        for m in [1, 2, 3, 4, 6, 13, 32] {
            let x = random(m * k, m as u64);
            let mut all = Available::all().map(|with| (with, products(with, &matrix, &x)));
            let (_, plain) = all.next().unwrap();
            let mut before = None;
            for (with, found) in all {
                let name = format!("{kind:?} {}, {m} rows", with.which().name());
                let error = difference(&found, &plain);
                assert!(error < 1e-6, "{name}: {error}");
                // Whole numbers are exact, and what becomes of them is the same.
                assert!(before.is_none_or(|before| before == found), "{name}");
                before = Some(found);
            }
        }
    }
}

#[test]
fn no_sum_saturates() {
    let (k, m) = (512, 5);
    for kind in KINDS {
        for byte in [0x7f, 0x80, 0xff] {
            let matrix = of_bytes(kind, TILE, k, || byte);
            let matrix = Matrix::Packed(matrix);
            for x in [127.0, -127.0] {
                // Now and then with the other sign, in each row at other places.
                let x: Vec<f32> = (0..m * k)
                    .map(|i| if i % 61 == 0 { -x } else { x })
                    .collect();
                let wanted = exact(&matrix, &x, k);
                for with in Available::all() {
                    let error = difference(&product(with, &matrix, &x), &wanted);
                    let name = with.which().name();
                    assert!(error < 1e-5, "{kind:?} {name}, codes {byte:x}: {error}");
                }
            }
        }
    }
}

#[test]
fn bias_and_residual_are_added() {
    let values = random(40 * 64, 1);
    let matrix = Matrix::Dense(Dense::new(40, 64, |i| values[i]));
    let (x, bias) = (random(3 * 64, 2), random(40, 3));
    let with = Available::fastest();
    let plain = product(with, &matrix, &x);
    let mut out = plain.clone();
    multiply(
        with,
        &x,
        &mut [Product {
            matrix: &matrix,
            bias: &bias,
            out: &mut out,
            add: true,
        }],
    );
    let wanted: Vec<f32> = plain
        .iter()
        .enumerate()
        .map(|(i, x)| 2.0 * x + bias[i % 40])
        .collect();
    assert!(difference(&out, &wanted) < 1e-6);
}
