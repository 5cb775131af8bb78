//! The loss of the hidden answers and its gradients, question by question.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::MISSING;
use super::net::{Net, add};

/// Gradients of the tables, as long as these.
pub(super) struct Gradients {
    pub(super) inputs: Vec<f32>,
    pub(super) outputs: Vec<f32>,
    pub(super) biases: Vec<f32>,
}

/// What the hidden answers say about the rows.
pub(super) struct Loss {
    /// Sum over the hidden answers, in nats.
    pub(super) sum: f64,
    /// Hidden answers.
    pub(super) n: usize,
    /// Gradient of the mean loss by the rows' vectors, `n × dim`.
    pub(super) rows: Vec<f32>,
}

/// One question's share: its loss, the rows in which it is hidden, and the gradients of their vectors.
type Part = (f64, Vec<usize>, Vec<f32>);

/// The loss of the `hidden` answers where `vectors` (`n × dim`) stand for the rows, each level against all of its
/// question; fills the gradients of the outputs and biases.
pub(super) fn loss(
    net: &Net,
    codes: &[u32],
    hidden: &[bool],
    vectors: &[f32],
    into: &mut Gradients,
) -> candle_core::Result<Loss> {
    let (layout, dim) = (&net.layout, net.layout.dim);
    let given = |(code, hidden): &(&u32, &bool)| **hidden && **code != MISSING;
    let n = codes.iter().zip(hidden).filter(given).count();
    let outputs = layout.parts(&mut into.outputs, dim).into_par_iter();
    let tables = outputs.zip(layout.parts(&mut into.biases, 1)).enumerate();
    let parts = tables.map(|(question, (outputs, biases))| {
        let answers = (0..vectors.len() / dim)
            .map(|row| (row, row * layout.levels.len() + question))
            .filter(|(_, at)| hidden[*at] && codes[*at] != MISSING);
        let (rows, answers): (Vec<usize>, Vec<usize>) =
            answers.map(|(row, at)| (row, codes[at] as usize)).unzip();
        part(
            net,
            question,
            (rows, &answers),
            vectors,
            1.0 / n as f32,
            outputs,
            biases,
        )
    });
    let parts: Vec<Part> = parts.collect::<candle_core::Result<_>>()?;
    let (mut sum, mut rows) = (0.0, vec![0.0; vectors.len()]);
    // In the order of the questions, for the same bits with any number of threads.
    for (loss, of, gradient) in &parts {
        sum += loss;
        for (row, gradient) in of.iter().zip(gradient.chunks(dim)) {
            add(&mut rows[row * dim..][..dim], gradient, 1.0);
        }
    }
    Ok(Loss { sum, n, rows })
}

/// The loss of one question in the `rows` where it is hidden, and its gradients times `factor`.
fn part(
    net: &Net,
    question: usize,
    (rows, answers): (Vec<usize>, &[usize]),
    vectors: &[f32],
    factor: f32,
    outputs: &mut [f32],
    biases: &mut [f32],
) -> candle_core::Result<Part> {
    outputs.fill(0.0);
    biases.fill(0.0);
    if rows.is_empty() {
        return Ok((0.0, rows, Vec::new()));
    }
    let (dim, width) = (net.layout.dim, biases.len());
    let first = net.layout.offsets[question];
    let table = &net.outputs[first * dim..][..width * dim];
    let table = Tensor::from_slice(table, (width, dim), &Device::Cpu)?;
    let of_rows = rows
        .iter()
        .flat_map(|row| &vectors[row * dim..][..dim])
        .copied();
    let of_rows = Tensor::from_iter(of_rows, &Device::Cpu)?.reshape((rows.len(), dim))?;
    let mut logits = of_rows
        .matmul(&table.t()?)?
        .flatten_all()?
        .to_vec1::<f32>()?;
    let mut sum = 0.0;
    for (row, answer) in logits.chunks_mut(width).zip(answers) {
        add(row, &net.biases[first..][..width], 1.0);
        sum += f64::from(softmax(row, *answer));
        row[*answer] -= 1.0;
        for (slope, bias) in row.iter_mut().zip(biases.iter_mut()) {
            *slope *= factor;
            *bias += *slope;
        }
    }
    let slopes = Tensor::from_vec(logits, (rows.len(), width), &Device::Cpu)?;
    let by_table = slopes
        .t()?
        .matmul(&of_rows)?
        .flatten_all()?
        .to_vec1::<f32>()?;
    outputs.copy_from_slice(&by_table);
    let by_rows = slopes.matmul(&table)?.flatten_all()?.to_vec1()?;
    Ok((sum, rows, by_rows))
}

/// Turns logits into probabilities; gives the negative logarithm of that of the `answer`.
fn softmax(logits: &mut [f32], answer: usize) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let at_answer = logits[answer] - highest;
    for logit in logits.iter_mut() {
        *logit = exp(*logit - highest);
    }
    // Eight running sums in a fixed order, for the width of the machine.
    let mut totals = [0.0_f32; 8];
    for exps in logits.chunks(8) {
        totals
            .iter_mut()
            .zip(exps)
            .for_each(|(total, exp)| *total += exp);
    }
    let total: f32 = totals.iter().sum();
    for exp in logits.iter_mut() {
        *exp /= total;
    }
    total.ln() - at_answer
}

/// `eˣ` for `x ≤ 0`, to 5e-7 of itself above −80 (Cody and Waite's reduction, then a polynomial): without branches, so
/// that loops over it use the width of the machine.
pub(super) fn exp(x: f32) -> f32 {
    let scaled = x.max(-87.0) * std::f32::consts::LOG2_E;
    // Adding 1.5·2²³ rounds to the nearest integer, whose bits are then at the low end.
    let shifted = scaled + 12_582_912.0;
    let rest = (scaled - (shifted - 12_582_912.0)) * std::f32::consts::LN_2;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let tail = 1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0);
    power * (1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * tail))))
}
