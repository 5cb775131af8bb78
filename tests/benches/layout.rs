//! `layout`: how long the layout of 30,000 edges takes.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use mlk8s_graph::layout::layout;

const N_NODES: u32 = 12_000;
const N_EDGES: usize = 30_000;
const SEED: u64 = 1;

/// Lays out a graph with hubs, as knowledge graphs have, and some small components.
pub(crate) fn run(_data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let edges = edges();
    let start = Instant::now();
    let places = layout(N_NODES as usize, &edges, SEED);
    let took = start.elapsed().as_secs_f64();
    let length = |&(a, b, _): &(u32, u32, f32)| {
        let (a, b) = (places[a as usize], places[b as usize]);
        (a[0] - b[0]).hypot(a[1] - b[1])
    };
    let mean = edges.iter().map(length).sum::<f32>() / edges.len() as f32;
    let extent = places
        .iter()
        .map(|place| place[0].hypot(place[1]))
        .fold(0.0, f32::max);
    writeln!(
        out,
        "{N_NODES} nodes, {} edges: {took:.1} s; mean edge {mean:.1}, extent {extent:.1}",
        edges.len()
    )?;
    writeln!(out, "wanted on two cores: under 10 s")?;
    Ok(())
}

/// Edges by preferential attachment (Barabási and Albert 1999); every tenth node belongs to a pair of its own.
fn edges() -> Vec<(u32, u32, f32)> {
    let mut state = SEED;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut ends: Vec<u32> = vec![0, 1];
    let mut edges = vec![(0, 1, 1.0)];
    for node in 2..N_NODES {
        if node % 20 < 2 {
            if node % 20 == 1 {
                edges.push((node - 1, node, 1.0));
            }
            continue;
        }
        let to = ends[next(ends.len())];
        edges.push((node, to, 1.0));
        ends.extend([node, to]);
    }
    while edges.len() < N_EDGES {
        let (from, to) = (ends[next(ends.len())], ends[next(ends.len())]);
        edges.push((from, to, 1.0));
    }
    edges
}
