//! What a model of known size needs, and what is suggested when that is too much.

use super::*;

/// Llama 3.1 8B: 32 layers, 8 heads of keys of 128, vocabulary 128,256, head not tied.
fn sizes() -> Sizes {
    Sizes {
        shares: Shares {
            embeddings: 525_336_576,
            matrices: 7_504_658_432,
            rest: 266_240,
            tied: 0,
            is_gguf: false,
        },
        stored: 16_060_522_496,
        cached: 2 * 32 * 8 * 128,
        row: 4 * 4096 + 3 * 14336 + 48 * 128,
        heads: 32,
        vocabulary: 128_256,
    }
}

fn plan(precision: Precision, device: Device) -> Plan {
    Plan {
        precision,
        context: 8192,
        sequences: 4,
        device,
    }
}

#[test]
fn an_8b_model_needs_what_is_known_of_it() {
    let need = sizes().need(plan(Precision::Stored, Device::Gpu));
    assert_eq!(need.weights, 16_060_522_496);
    // 128 KiB a token.
    assert_eq!(need.cache, 8192 * 4 * 131_072);
    assert_eq!(need.total, need.weights + need.cache + need.working);
    let on_processor = sizes().need(plan(Precision::Stored, Device::Processor));
    assert_eq!(on_processor.weights, 2 * need.weights);
    let q4 = sizes().need(plan(Precision::Q4K, Device::Gpu)).weights;
    assert_eq!(q4, (525_336_576 + 266_240) * 2 + 7_504_658_432 / 256 * 144);
}

#[test]
fn what_does_not_fit_is_answered_with_a_way() {
    let need = sizes().need(plan(Precision::Stored, Device::Gpu));
    assert_eq!(fits(&need, need.total), Fit::Fits);
    let Fit::Suggest(ways) = fits(&need, need.total - 1) else {
        panic!()
    };
    assert_eq!(ways[0].plan.precision, Precision::Q8_0);
    assert!(ways.iter().all(|way| way.bytes < need.total));
    assert!(
        ways.iter()
            .any(|way| way.plan.sequences == 2 && way.plan.precision == Precision::Stored)
    );
    let Fit::Suggest(ways) = fits(&need, 6_000_000_000) else {
        panic!()
    };
    assert_eq!(ways.len(), 1);
    assert_eq!(
        (ways[0].plan.precision, ways[0].plan.sequences),
        (Precision::Q4K, 1)
    );
    assert_eq!(fits(&need, 1_000_000_000), Fit::TooLarge);
}

#[test]
fn absurd_numbers_do_not_overflow() {
    let huge = Plan {
        context: 1 << 40,
        sequences: 1 << 40,
        ..plan(Precision::F32, Device::Gpu)
    };
    assert_eq!(sizes().need(huge).total, u64::MAX);
    let Fit::Suggest(_) = fits(&sizes().need(huge), 64_000_000_000) else {
        panic!()
    };
}
