//! Towers in own kernels, which run on the processor here, against the processor's own.

use std::sync::Arc;

use mlk8s_card::{Shim, Sources, compiled_for_cards};

use super::super::attention::Sight;
use super::super::place::{GpuKernels, Place};
use super::super::rope::Rope;
use super::super::stack::{Layer, Scratch};
use super::super::tests::{difference, numbers};
use super::plan::Plan;
use super::*;

static KERNELS: Sources = Sources::new(
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/compute/fused/shim/shim.cpp"
    ),
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/compute/fused/kernels"),
);

/// The processor in place of a GPU.
pub(crate) fn rehearsal(kernels: GpuKernels) -> Place {
    Place::rehearsal(kernels, Box::new(|_| Ok(Box::new(Shim::of(&KERNELS)))))
}

#[test]
fn the_kernels_compile_for_cards_and_fit_on_them() {
    let all = [8, 32, 64, 80, 96, 128].map(|dim| [(dim, false), (dim, true)]);
    let taken = all.into_iter().flatten();
    let taken = taken.filter(|(dim, exact)| source::suits(*dim, *exact, &[]));
    let programs = taken.map(|(dim, exact)| source::program(dim, exact));
    compiled_for_cards(&programs.collect::<Vec<_>>());
}

#[test]
fn sequences_get_as_many_warps_as_hold_them() {
    let plan = Plan::new(&[17, 1, 70, 16], &[], &[3], &Device::Cpu).unwrap();
    let blocks = plan.blocks.iter().map(|blocks| {
        let table: Vec<u32> = blocks.table.to_vec1().unwrap();
        (blocks.warps, blocks.n, table)
    });
    assert_eq!(
        blocks.collect::<Vec<_>>(),
        [
            (1, 2, vec![17, 1, 0, 88, 16, 0]),
            (2, 1, vec![0, 17, 0]),
            (4, 2, vec![18, 70, 0, 18, 70, 64]),
        ]
    );
    let all = |tensor: &Tensor| tensor.to_vec1::<u32>().unwrap();
    assert_eq!(all(&plan.firsts), [0, 17, 18, 88, 104]);
    assert_eq!((all(&plan.picks), plan.n_rows, plan.n), (vec![3], 104, 4));
}

/// A tower of one layer of each sight.
struct Case {
    heads: Heads,
    order: NormOrder,
    activation: Activation,
    gated: bool,
    rotary: bool,
}

const INNER: usize = 20;
const LENGTHS: [usize; 7] = [17, 1, 33, 100, 16, 129, 5];

impl Case {
    fn stack(&self, random: &mut fastrand::Rng) -> Stack {
        let width = self.heads.n * self.heads.dim;
        let mut linear = |n_in: usize, n_out: usize| {
            let weights = numbers(random, n_in * n_out);
            let scale = 2.0 / (n_in as f32).sqrt();
            let weights: Vec<f32> = weights.iter().map(|x| x * scale).collect();
            Linear::new(&weights, &numbers(random, n_out), n_in)
        };
        let norm = || LayerNorm::new(vec![1.1; width], vec![0.2; width], 1e-6);
        let rope = Arc::new(Rope::new(160, self.heads.dim, 100.0));
        let sights = [Sight::All, Sight::Before, Sight::Near(3), Sight::Near(40)];
        let layers = sights.into_iter().enumerate().map(|(at, sight)| Layer {
            qkv: linear(width, 3 * width),
            rope: self.rotary.then(|| Arc::clone(&rope)),
            sight,
            out: linear(width, width),
            attention_norm: (at > 0 || self.order == NormOrder::After).then(norm),
            up: linear(width, INNER),
            gate: self.gated.then(|| linear(width, INNER)),
            down: linear(INNER, width),
            feed_norm: norm(),
        });
        Stack {
            layers: layers.collect(),
            heads: self.heads,
            order: self.order,
            activation: self.activation,
        }
    }

    /// By what the rows of a tower are off: of the mean, and of some tokens.
    fn check(&self, exact: bool, most: f64) {
        let mut random = fastrand::Rng::with_seed(17);
        let stack = self.stack(&mut random);
        let width = stack.width();
        let n_rows: usize = LENGTHS.iter().sum();
        let x = numbers(&mut random, width * n_rows);
        let mut wanted = x.clone();
        stack
            .run(&mut wanted, &LENGTHS, &mut Scratch::default(), &|| false)
            .unwrap();
        let parts = Parts {
            words: None,
            positions: &[],
            norm: None,
            stack: &stack,
            last_norm: None,
            projection: None,
        };
        assert!(Fused::program(&parts, exact).is_some());
        let launcher = Box::new(Shim::of(&KERNELS));
        let tower = Fused::new(&parts, launcher, &Device::Cpu, exact).unwrap();
        let tokens: Vec<u32> = LENGTHS
            .iter()
            .scan(0, |end, n| {
                *end += *n as u32;
                Some(*end - 1)
            })
            .collect();
        let run = |what, stop: bool| {
            let mut rows = vec![0.0; LENGTHS.len() * width];
            let input = Input::Vectors(&x, &LENGTHS);
            tower.run(input, what, &mut rows, &|| stop).map(|()| rows)
        };
        let last: Vec<f64> = tokens
            .iter()
            .flat_map(|row| &wanted[*row as usize * width..][..width])
            .map(|x| f64::from(*x))
            .collect();
        let error = difference(&run(Wanted::Tokens(&tokens), false).unwrap(), &last);
        assert!(error < most, "{:?} {:?}: {error:e}", self.heads, self.order);
        let mut rest = &wanted[..];
        let mut means = Vec::new();
        for n in LENGTHS {
            let (own, after) = rest.split_at(n * width);
            rest = after;
            let column = |d: usize| own.iter().skip(d).step_by(width).map(|x| f64::from(*x));
            means.extend((0..width).map(|d| column(d).sum::<f64>() / n as f64));
        }
        let error = difference(&run(Wanted::Mean, false).unwrap(), &means);
        assert!(error < most, "{:?} {:?}: {error:e}", self.heads, self.order);
        assert!(matches!(run(Wanted::Mean, true), Err(Halt::Stopped)));
    }
}

#[test]
fn towers_of_all_kinds_are_those_of_the_processor() {
    use Activation::{Gelu, GeluTanh, QuickGelu, Relu, Silu};
    use NormOrder::{After, Before};
    for (at, (n, dim, order, activation, gated, rotary)) in [
        (2, 32, After, Gelu, false, false),
        (1, 64, Before, Gelu, true, true),
        (3, 8, After, Silu, true, true),
        (1, 80, Before, QuickGelu, false, false),
        (2, 16, Before, GeluTanh, false, true),
        (1, 128, After, Relu, false, true),
    ]
    .into_iter()
    .enumerate()
    {
        let case = Case {
            heads: Heads { n, dim },
            order,
            activation,
            gated,
            rotary,
        };
        if dim < 128 {
            case.check(true, 1e-4);
        }
        // What TF32 leaves of it; the processor cuts factors off where a card may round them.
        if at < 3 || dim == 128 {
            case.check(false, 0.05);
        }
    }
}
