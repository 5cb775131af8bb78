//! Quantised weights on the card, beside the same weights in single precision.
//!
//! Candle's kernels for cards round the rows that are multiplied to eight bits in blocks of 32 (ggml's `Q8_1`), multiply
//! codes exactly and add in single precision; rows and results are bf16. So a product differs from that of the dequantised
//! matrix by about what this rounding explains, which is computed here for each number: a step of the scale, which is the
//! largest value of the block over 127, leaves an error with a variance of a twelfth of its square. A block that is read in a
//! wrong order or with a wrong scale is off by tens of times as much.
//!
//! Behind some layers of a random model such errors have grown, on the card as on the processor, which rounds rows in the
//! same way (`Q8_0`: blocks of 32) or more coarsely (`Q4_K`, `Q6_K`: of 256), but keeps them in single precision between
//! products. So logits of the card may be off by half more than those of the processor and of bf16 on the card together.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{DType, Device as Place, Module, Tensor};
use mlk8s_generate::{Device, Precision};

use crate::check::{decoder, logits, off};
use crate::models::{Stored, families};
use crate::{Failure, tell};

/// Outputs and inputs of the matrices.
const SHAPE: (usize, usize) = (320, 768);
/// Rows that are multiplied: one, as many as kernels for few rows take, one more, and some tiles.
const ROWS: [usize; 4] = [1, 8, 9, 300];
/// So many rows are multiplied one by one.
const FEW_ROWS: usize = 8;
/// What an error may be at most: all of them together, and the largest, in units of what rounding explains.
const MOST: (f64, f64) = (1.5, 8.0);
/// By how much more the card may be off than what explains it.
const MARGIN: f32 = 1.5;

/// Families that are checked where there is little time: one of the plainest, one whose head is the table, and the one in which
/// errors grow most.
const FEW: [&str; 3] = ["llama", "qwen2", "gemma3"];

/// Checks products and models, of all families or a few; says whether everything is as it must be.
pub(crate) fn run(device: Device, few: bool, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut good = true;
    let place = match device {
        Device::Cpu => Place::Cpu,
        Device::Cuda(number) => Place::new_cuda_with_stream(number)?,
    };
    for dtype in [GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q6K] {
        for n in ROWS {
            good &= product(dtype, n, &place, out)?;
        }
    }
    let folder = std::env::temp_dir().join(format!("mlk8s-quantised-{}", std::process::id()));
    let done = models(&folder, device, few, out);
    // Where it failed early there is none.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(done? && good)
}

fn product(
    dtype: GgmlDType,
    n: usize,
    place: &Place,
    out: &mut dyn Write,
) -> Result<bool, Failure> {
    let (outputs, inputs) = SHAPE;
    let mut random = fastrand::Rng::with_seed(n as u64);
    let mut numbers = |n: usize, shape: (usize, usize)| {
        let values: Vec<f32> = (0..n).map(|_| random.f32() * 2.0 - 1.0).collect();
        Tensor::from_vec(values, shape, &Place::Cpu)
    };
    let matrix = QTensor::quantize(&numbers(outputs * inputs, SHAPE)?, dtype)?;
    let rows = numbers(n * inputs, (n, inputs))?.to_dtype(DType::BF16)?;
    let blocks = matrix.data()?.into_owned();
    let there = QTensor::new(QStorage::from_data(blocks.into(), place, dtype)?, SHAPE)?;
    let there = QMatMul::from_qtensor(there)?;
    // The processor multiplies in single precision only.
    let taken = if place.is_cpu() {
        rows.to_dtype(DType::F32)?
    } else {
        rows.to_device(place)?
    };
    let found = there.forward(&taken)?.to_dtype(DType::F32)?;
    let found: Vec<f32> = found.to_device(&Place::Cpu)?.flatten_all()?.to_vec1()?;
    let rows: Vec<Vec<f32>> = rows.to_dtype(DType::F32)?.to_vec2()?;
    let matrix: Vec<Vec<f32>> = matrix.dequantize(&Place::Cpu)?.to_vec2()?;
    let mut errors = found.iter();
    let codes_alone = dtype == GgmlDType::Q4K && n > FEW_ROWS;
    let (mut squares, mut variances, mut worst) = (0.0, 0.0, 0.0_f64);
    for row in &rows {
        for weights in &matrix {
            let (wanted, variance) = explained(row, weights, codes_alone);
            let error = f64::from(*errors.next().ok_or("numbers are missing")?) - wanted;
            squares += error * error;
            variances += variance;
            let here = error.abs() / variance.sqrt();
            // What is no number is infinitely far off.
            worst = if here <= worst || here.is_finite() {
                worst.max(here)
            } else {
                f64::INFINITY
            };
        }
    }
    let all = (squares / variances).sqrt();
    let right = all <= MOST.0 && worst <= MOST.1;
    let what = format!("{n} rows, of what rounding explains");
    let numbers = [format!("{all:.2}"), format!("{worst:.2}")];
    let verdict = if right { "as it must be" } else { "WRONG" };
    let name = format!("products with {dtype:?}");
    tell(
        out,
        &["check", &name, &what, &numbers[0], &numbers[1], verdict],
    );
    Ok(right)
}

/// A product, and the variance of the error that comes of rounding: the row to eight bits, and the result to bf16.
///
/// A weight of four bits is a code times a scale, less an offset of its block. Kernels for many rows multiply the offset
/// with the sum of the numbers as they were *before* rounding, so that errors meet the codes alone (`codes_alone`), which
/// are not negative and so larger than the weights; that for few rows takes the sum of what was rounded.
fn explained(row: &[f32], weights: &[f32], codes_alone: bool) -> (f64, f64) {
    let (mut sum, mut variance) = (0.0, 0.0);
    for (row, weights) in row.chunks(32).zip(weights.chunks(32)) {
        let largest = row.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let step = f64::from(largest) / 127.0;
        // The least of a block's codes is 0.
        let offset = if codes_alone {
            weights.iter().copied().fold(f32::INFINITY, f32::min)
        } else {
            0.0
        };
        let squares: f64 = weights
            .iter()
            .map(|weight| f64::from(weight - offset).powi(2))
            .sum();
        variance += step * step / 12.0 * squares;
        let products = row.iter().zip(weights);
        sum += products
            .map(|(x, w)| f64::from(*x) * f64::from(*w))
            .sum::<f64>();
    }
    // A bf16 has eight bits, so that its last place is at most 2⁻⁷ of it, and at least half of that.
    let place = sum.abs() / 128.0 * 0.75;
    (sum, variance + place * place / 12.0)
}

fn models(folder: &Path, device: Device, few: bool, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut good = true;
    let mut families = families();
    families.retain(|model| !few || FEW.contains(&model.name));
    for model in families {
        let [stored, exact] = ["stored", "exact"].map(|name| folder.join(name));
        model.write(&stored, Stored::F32)?;
        for (name, precision) in [("q8_0", Precision::Q8_0), ("q4k", Precision::Q4K)] {
            dequantise(&stored, &exact, precision)?;
            let of = |folder: &Path, precision, device| {
                logits(decoder(folder, precision, device)?.as_mut(), &model)
            };
            let floats = of(&exact, Precision::F32, Device::Cpu)?;
            let [processor, rounded, card] = [
                of(&stored, precision, Device::Cpu)?,
                of(&exact, Precision::Bf16, device)?,
                of(&stored, precision, device)?,
            ]
            .map(|found| off(&found, &floats, &model).map(middle_and_worst));
            let (processor, rounded, card) = (processor?, rounded?, card?);
            let most = |processor: f32, rounded: f32| MARGIN * processor.hypot(rounded);
            let right =
                card.0 <= most(processor.0, rounded.0) && card.1 <= most(processor.1, rounded.1);
            let mut say = |what: &str, found: (f32, f32), verdict: &str| {
                let what = format!("{name} from floats, {what}");
                let numbers = [format!("{:.1e}", found.0), format!("{:.1e}", found.1)];
                tell(
                    out,
                    &[
                        "check",
                        model.name,
                        &what,
                        &numbers[0],
                        &numbers[1],
                        verdict,
                    ],
                );
            };
            say("the processor", processor, "for comparison");
            say("bf16 on the card", rounded, "for comparison");
            say(
                "the card",
                card,
                if right { "as it must be" } else { "WRONG" },
            );
            good &= right;
        }
    }
    Ok(good)
}

fn middle_and_worst(mut errors: Vec<f32>) -> (f32, f32) {
    errors.sort_by(f32::total_cmp);
    let last = errors.len().saturating_sub(1);
    let at = |at: usize| errors.get(at).copied().unwrap_or(f32::INFINITY);
    (at(errors.len() / 2), at(last))
}

/// The model of a folder with its matrices as they are once they were quantised. A head that is also the table becomes a
/// matrix of its own: only the head is quantised.
fn dequantise(from: &Path, to: &Path, precision: Precision) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    let config = std::fs::read_to_string(from.join("config.json"))?;
    let mut config: serde_json::Value = serde_json::from_str(&config)?;
    config["tie_word_embeddings"] = false.into();
    std::fs::write(to.join("config.json"), config.to_string())?;
    std::fs::copy(from.join("tokenizer.json"), to.join("tokenizer.json"))?;
    let mut tensors: HashMap<String, Tensor> =
        candle_core::safetensors::load(from.join("model.safetensors"), &Place::Cpu)?;
    let (table, head) = ("model.embed_tokens.weight", "lm_head.weight");
    if !tensors.contains_key(head) {
        tensors.insert(head.to_owned(), tensors[table].clone());
    }
    for (name, tensor) in &mut tensors {
        let [_, inputs] = *tensor.dims() else {
            continue;
        };
        if name == table {
            continue;
        }
        let whole = inputs.is_multiple_of(256);
        // As models are quantised when they are loaded.
        let dtype = match precision {
            Precision::Q4K if whole && name == head => GgmlDType::Q6K,
            Precision::Q4K if whole => GgmlDType::Q4K,
            _ => GgmlDType::Q8_0,
        };
        *tensor = QTensor::quantize(tensor, dtype)?.dequantize(&Place::Cpu)?;
    }
    Ok(candle_core::safetensors::save(
        &tensors,
        to.join("model.safetensors"),
    )?)
}
