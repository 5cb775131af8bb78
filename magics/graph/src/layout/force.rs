//! Springs and charges: each node moves where it is pushed, by a step that shrinks as things settle (Hu 2005).

use rayon::prelude::*;

use super::Piece;
use super::coarse::coarser;
use super::tree::Tree;

/// Strength of the repulsion against that of the springs.
const REPULSION: f32 = 0.3;
/// Nodes of the coarsest graph, at most, if it can be made that coarse.
const COARSEST: usize = 24;
/// Steps on the coarsest graph, on the others, and on the graph itself.
const STEPS: [usize; 3] = [400, 60, 120];
/// Factor by which the step shrinks or grows.
const COOLING: f32 = 0.92;
/// Steps in a row that must calm things before the step grows again.
const CALM_STEPS: usize = 5;
/// The step at which things have settled.
const SETTLED: f32 = 0.01;
/// Length of the middle one of the edges, where nodes have room.
const EDGE: f32 = 1.5;
/// Nodes below which a component's edges are shorter, down to half.
const SMALL: f32 = 60.0;
/// Mean distance from the middle, for each square root of the number of nodes, at which nodes have room.
const ROOM: f32 = 0.3;
/// Nodes come no closer than this, if passes suffice.
const APART: f32 = 0.5;
/// Passes that push nodes apart.
const PASSES: usize = 40;
/// Nodes from which a step is worth sharing among threads.
const WORTH_THREADS: usize = 400;

/// Places the nodes of a connected piece, with their middle at the origin.
pub(super) fn place(piece: &Piece, seed: u64) -> Vec<[f32; 2]> {
    let mut levels: Vec<(Piece, Vec<u32>)> = Vec::new();
    while let Some(next) = {
        let finest = levels.last().map_or(piece, |(piece, _)| piece);
        if finest.sizes.len() > COARSEST {
            coarser(finest)
        } else {
            None
        }
    } {
        levels.push(next);
    }
    let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
    let coarsest = levels.last().map_or(piece, |(piece, _)| piece);
    let spread = (coarsest.sizes.len() as f32).sqrt();
    let mut places: Vec<[f32; 2]> = coarsest
        .sizes
        .iter()
        .map(|_| [spread * random.next(), spread * random.next()])
        .collect();
    settle(coarsest, &mut places, STEPS[0], 1.0);
    for level in (0..levels.len()).rev() {
        let group = &levels[level].1;
        let finer = if level == 0 {
            piece
        } else {
            &levels[level - 1].0
        };
        places = group
            .iter()
            .map(|&group| {
                let [x, y] = places[group as usize];
                [x + 0.3 * random.next(), y + 0.3 * random.next()]
            })
            .collect();
        settle(
            finer,
            &mut places,
            STEPS[if level == 0 { 2 } else { 1 }],
            0.5,
        );
    }
    centre(&mut places);
    scale(piece, &mut places);
    separate(&mut places);
    places
}

/// Moves the nodes until they settle or the steps are used up.
fn settle(piece: &Piece, places: &mut [[f32; 2]], n_steps: usize, first_step: f32) {
    let n = places.len();
    let (mut step, mut energy, mut n_calm) = (first_step, f32::MAX, 0);
    for _ in 0..n_steps {
        let tree = Tree::new(places, &piece.sizes);
        let force = |node: usize| force(piece, places, &tree, node);
        let forces: Vec<[f32; 2]> = if n < WORTH_THREADS {
            (0..n).map(force).collect()
        } else {
            (0..n)
                .into_par_iter()
                .with_min_len(128)
                .map(force)
                .collect()
        };
        // The sum is taken in order, so that it does not depend on the number of threads.
        let now: f32 = forces.iter().map(|[x, y]| x * x + y * y).sum();
        for (place, force) in places.iter_mut().zip(&forces) {
            let length = force[0].hypot(force[1]);
            if length > 0.0 {
                let far = step * (length / (length + 0.1));
                place[0] += far * force[0] / length;
                place[1] += far * force[1] / length;
            }
        }
        if now < energy {
            n_calm += 1;
            if n_calm >= CALM_STEPS {
                n_calm = 0;
                step /= COOLING;
            }
        } else {
            n_calm = 0;
            step *= COOLING;
        }
        energy = now;
        if step < SETTLED {
            break;
        }
    }
}

/// Push of all nodes and pull of the neighbours on a node, for each unit of its size.
fn force(piece: &Piece, places: &[[f32; 2]], tree: &Tree, node: usize) -> [f32; 2] {
    let place = places[node];
    let mut force = tree.push(node, place).map(|push| REPULSION * push);
    for &(other, weight) in &piece.neighbours[node] {
        let there = places[other as usize];
        let (dx, dy) = (there[0] - place[0], there[1] - place[1]);
        let pull = weight * dx.hypot(dy) / piece.sizes[node];
        force[0] += pull * dx;
        force[1] += pull * dy;
    }
    force
}

/// Makes the middle one of the edges as long as an edge should be, unless the nodes would have no room then.
fn scale(piece: &Piece, places: &mut [[f32; 2]]) {
    let length = |a: usize, b: u32| {
        let (a, b) = (places[a], places[b as usize]);
        (a[0] - b[0]).hypot(a[1] - b[1])
    };
    let ends = piece.neighbours.iter().enumerate();
    let mut lengths: Vec<f32> = ends
        .flat_map(|(a, all)| all.iter().map(move |&(b, _)| length(a, b)))
        .collect();
    if lengths.is_empty() {
        return;
    }
    lengths.sort_by(f32::total_cmp);
    let n = places.len() as f32;
    let squares: f32 = places.iter().map(|[x, y]| x * x + y * y).sum();
    let spread = (squares / n).sqrt().max(f32::MIN_POSITIVE);
    let median = lengths[lengths.len() / 2].max(f32::MIN_POSITIVE);
    // A pair among hundreds must not look as if it were the larger thing.
    let edge = EDGE * (0.5 + n / SMALL).min(1.0);
    let factor = (edge / median).max(ROOM * n.sqrt() / spread);
    for place in places {
        *place = place.map(|x| x * factor);
    }
}

/// Pushes apart what lies too close, on a grid of squares as large as the distance wanted.
fn separate(places: &mut [[f32; 2]]) {
    for _ in 0..PASSES {
        let square = |place: [f32; 2]| place.map(|x| (x / APART).floor() as i32);
        let mut order: Vec<([i32; 2], u32)> = places
            .iter()
            .enumerate()
            .map(|(node, &place)| (square(place), node as u32))
            .collect();
        order.sort_unstable();
        let mut shifts = vec![[0.0_f32; 2]; places.len()];
        let mut n_close = 0;
        for &(here, node) in &order {
            let place = places[node as usize];
            for dx in -1..=1 {
                let from = order.partition_point(|&(there, _)| there < [here[0] + dx, here[1] - 1]);
                let column = order[from..]
                    .iter()
                    .take_while(|(there, _)| *there <= [here[0] + dx, here[1] + 1]);
                for &(_, other) in column.filter(|(_, other)| *other != node) {
                    let there = places[other as usize];
                    let (mut x, mut y) = (place[0] - there[0], place[1] - there[1]);
                    if x == 0.0 && y == 0.0 {
                        // Two in one place part in a direction that their numbers give.
                        (x, y) = (
                            (node as f32 - other as f32).signum() * 1e-3,
                            (node % 7) as f32 * 1e-4,
                        );
                    }
                    let distance = x.hypot(y);
                    if distance < APART {
                        n_close += 1;
                        let half = 0.5 * (APART - distance) / distance;
                        shifts[node as usize][0] += half * x;
                        shifts[node as usize][1] += half * y;
                    }
                }
            }
        }
        for (place, shift) in places.iter_mut().zip(shifts) {
            place[0] += 0.6 * shift[0].clamp(-APART, APART);
            place[1] += 0.6 * shift[1].clamp(-APART, APART);
        }
        if n_close == 0 {
            break;
        }
    }
}

fn centre(places: &mut [[f32; 2]]) {
    let n = places.len().max(1) as f32;
    let sum = places.iter().fold([0.0_f32; 2], |sum, place| {
        [sum[0] + place[0], sum[1] + place[1]]
    });
    for place in places {
        place[0] -= sum[0] / n;
        place[1] -= sum[1] / n;
    }
}

/// A small generator of numbers from -0.5 to 0.5 (`SplitMix64`, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }
}
