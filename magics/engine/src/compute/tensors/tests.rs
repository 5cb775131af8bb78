//! The layers on tensors against those on the processor.

use std::sync::Arc;

use super::super::linear::Linear;
use super::super::norm::LayerNorm;
use super::super::rope::Rope;
use super::super::stack::{Layer, Scratch};
use super::super::tests::{difference, numbers};
use super::batch::similar;
use super::*;

#[test]
fn sequences_of_similar_length_stand_together() {
    let lengths = [40, 0, 300, 33, 5, 290, 29, 16, 1];
    let groups = similar(&lengths, usize::MAX);
    assert_eq!(groups, [vec![2, 5], vec![0, 3], vec![6], vec![7, 4, 8]]);
    // Too many scores for two of them.
    let groups = similar(&lengths, 300 * 300 + 1);
    assert_eq!(groups[..2], [[2], [5]]);
}

#[test]
fn queries_in_blocks_see_the_same() {
    let mut random = fastrand::Rng::with_seed(17);
    let (n, dim, inner) = (2, 6, 20);
    let width = n * dim;
    let mut linear = |n_in: usize, n_out: usize| {
        let weights = numbers(&mut random, n_in * n_out);
        Linear::new(&weights, &numbers(&mut random, n_out), n_in)
    };
    let mut layer = |sight| Layer {
        qkv: linear(width, 3 * width),
        rope: Some(Arc::new(Rope::new(64, dim, 100.0))),
        sight,
        out: linear(width, width),
        attention_norm: None,
        up: linear(width, inner),
        gate: Some(linear(width, inner)),
        down: linear(inner, width),
        feed_norm: LayerNorm::without_shift(vec![1.0; width], 1e-6),
    };
    for activation in [
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::QuickGelu,
        Activation::Silu,
        Activation::Relu,
    ] {
        let sights = [Sight::All, Sight::Before, Sight::Near(3)];
        let stack = Stack {
            layers: sights.map(&mut layer).into(),
            heads: Heads { n, dim },
            order: NormOrder::After,
            activation,
        };
        let lengths = [17, 1, 33, 20, 25];
        let x = numbers(&mut fastrand::Rng::with_seed(3), width * 96);
        let mut wanted = x.clone();
        stack
            .run(&mut wanted, &lengths, &mut Scratch::default(), &|| false)
            .unwrap();
        let wanted: Vec<f64> = wanted.into_iter().map(f64::from).collect();
        let mut tensors = Tensors::new(&stack, &Device::Cpu).unwrap();
        for most_scores in [SCORES, 400] {
            tensors.most_scores = most_scores;
            let mut found = x.clone();
            tensors.run(&mut found, &lengths, &|| false).unwrap();
            let error = difference(&found, &wanted);
            assert!(error < 2e-5, "{activation:?}: {error:e}");
        }
        let stopped = tensors.run(&mut x.clone(), &lengths, &|| true);
        assert!(matches!(stopped, Err(Halt::Stopped)));
    }
}
