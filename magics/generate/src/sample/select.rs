//! Passes over a row of logits that the compiler turns into vector code: maximum, exponentials, the likeliest few.

/// Elements that are summed in `f32` before the sum goes on in `f64`.
const BLOCK: usize = 512;

/// Independent sums, so that the additions can be vectorised.
const LANES: usize = 16;

/// Elements of which one maximum is kept while the likeliest are looked for.
const GROUP: usize = 64;

/// Classes of weights, of which [`nucleus`] sorts one.
const N_CLASSES: usize = 1024;

/// Classes between one weight and another that is e times as large; below e⁻³² all are in the last class.
const CLASSES_PER_UNIT: f32 = 32.0;

/// The largest number; NaN counts as nothing, and no numbers at all give −∞.
pub(super) fn maximum(logits: &[f32]) -> f32 {
    let (blocks, rest) = logits.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (lane, &logit) in lanes.iter_mut().zip(block) {
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |max, &logit| max.max(logit))
}

/// `e^x` for `x` ≤ 0, to two units in the last place; exactly 0 below −87 and for NaN.
///
/// `2^n` goes into the exponent, a polynomial of degree 6 covers the rest (as in Cephes' `expf`).
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to the nearest whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the product with n is exact.
    let rest = (clamped - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut sum = 1.987_569_1e-4;
    for factor in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * rest + factor;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x > -87.0 { sum * power } else { 0.0 }
}

/// Σ `e^((x − max) · scale)`.
pub(super) fn sum_exp(logits: &[f32], max: f32, scale: f32) -> f64 {
    logits
        .chunks(BLOCK)
        .map(|block| block_sum(block, max, scale))
        .sum()
}

fn block_sum(block: &[f32], max: f32, scale: f32) -> f64 {
    let (blocks, rest) = block.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for block in blocks {
        for (lane, &logit) in lanes.iter_mut().zip(block) {
            *lane += exp((logit - max) * scale);
        }
    }
    let rest: f64 = rest
        .iter()
        .map(|&logit| f64::from(exp((logit - max) * scale)))
        .sum();
    lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + rest
}

/// Weights `e^((x − max) · scale)` of a row, summed block by block, to draw from all of them.
pub(super) struct Weights<'a> {
    logits: &'a [f32],
    max: f32,
    scale: f32,
    sums: Vec<f64>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(logits: &'a [f32], max: f32, scale: f32) -> Self {
        let sums = logits
            .chunks(BLOCK)
            .map(|block| block_sum(block, max, scale))
            .collect();
        Self {
            logits,
            max,
            scale,
            sums,
        }
    }

    /// The token at `point` (in [0, 1)) of the total weight.
    pub(super) fn pick(&self, point: f64) -> u32 {
        let mut left = point * self.sums.iter().sum::<f64>();
        let mut last = 0;
        for (place, &sum) in self.sums.iter().enumerate() {
            if left >= sum {
                left -= sum;
                continue;
            }
            let start = place * BLOCK;
            let end = self.logits.len().min(start + BLOCK);
            for (token, &logit) in (start..).zip(&self.logits[start..end]) {
                let weight = f64::from(exp((logit - self.max) * self.scale));
                if weight > 0.0 {
                    last = token as u32;
                    left -= weight;
                    if left < 0.0 {
                        return last;
                    }
                }
            }
            // Rounding left a crumb: the last possible token of this block is the one.
            return last;
        }
        self.logits
            .iter()
            .position(|&logit| logit >= self.max)
            .map_or(0, |token| token as u32)
    }
}

/// The tokens of largest weight `e^((x − max) · scale)` that together reach `target`, and of these the ones whose weight is
/// at least `least`; in no particular order.
///
/// Weights are summed by classes of about equal size, so that only the class at the border has to be sorted.
pub(super) fn nucleus(
    logits: &[f32],
    max: f32,
    scale: f32,
    target: f64,
    least: f32,
) -> Vec<(u32, f32)> {
    // Separate passes, because each of them alone becomes vector code.
    let weights: Vec<f32> = logits
        .iter()
        .map(|&logit| exp((logit - max) * scale))
        .collect();
    let classes: Vec<u32> = logits
        .iter()
        .map(|&logit| class((max - logit) * scale))
        .collect();
    let mut sums = [0.0; N_CLASSES];
    for (&place, &weight) in classes.iter().zip(&weights) {
        sums[place as usize] += f64::from(weight);
    }
    let mut sum = 0.0;
    let border = sums.iter().position(|&of_class| {
        sum += of_class;
        sum >= target
    });
    let border = border.unwrap_or(N_CLASSES);
    let mut sum: f64 = sums[..border].iter().sum();
    let mut found = Vec::with_capacity(logits.len() / 4);
    let mut edge = Vec::new();
    for (token, (&place, &weight)) in (0..).zip(classes.iter().zip(&weights)) {
        if place as usize > border || weight < least || weight == 0.0 {
            continue;
        }
        if (place as usize) < border {
            found.push((token, weight));
        } else {
            edge.push((token, weight));
        }
    }
    edge.sort_unstable_by(|a: &(u32, f32), b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    for (token, weight) in edge {
        if sum >= target && !found.is_empty() {
            break;
        }
        sum += f64::from(weight);
        found.push((token, weight));
    }
    found
}

/// The class of weights at this `distance` from the largest. Adding 2²³ rounds to the nearest whole number, which then
/// stands in the low bits.
fn class(distance: f32) -> u32 {
    const ROUND: f32 = 8_388_608.0;
    let place = (distance * CLASSES_PER_UNIT).min(N_CLASSES as f32 - 1.0);
    (place + ROUND).to_bits() & (N_CLASSES as u32 - 1)
}

/// The `k` largest with their places, largest first; of equal ones the first comes first. NaN is never among them, and −∞
/// only if there is nothing else.
///
/// The `k`-th largest of the groups' maxima is a bound that at least `k` elements reach and few others do.
pub(super) fn likeliest(logits: &[f32], k: usize) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    let mut maxima: Vec<f32> = logits.chunks(GROUP).map(maximum).collect();
    let bound = if k < maxima.len() {
        *maxima
            .select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a))
            .1
    } else {
        f32::NEG_INFINITY
    };
    let mut found = Vec::with_capacity(2 * k.min(logits.len()));
    for (group, block) in logits.chunks(GROUP).enumerate() {
        if maximum(block) < bound {
            continue;
        }
        for (token, &logit) in (group * GROUP..).zip(block) {
            if logit >= bound {
                found.push((token as u32, logit));
            }
        }
    }
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if found.len() > k {
        found.select_nth_unstable_by(k - 1, order);
        found.truncate(k);
    }
    found.sort_unstable_by(order);
    found
}
