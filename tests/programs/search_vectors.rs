//! Times searches in an index of synthetic vectors: `mlk8s-search-vectors DIR [VECTORS [DIMS [QUERIES [LATENT]]]]`; the index is
//! built once.
//!
//! Vectors are clustered as those of texts are: 2,000 centres drawn from a normal distribution, and each vector a centre plus
//! normal noise of 0.7 times its length, made unit. Where LATENT is less than DIMS, that happens in so many dimensions, a random
//! linear map takes them to DIMS, and normal noise of a tenth is added there: vectors of texts, too, fill few dimensions. No graph
//! finds its way otherwise, so none is made where LATENT is DIMS. Queries are drawn likewise and are not in the index. The vectors
//! go to `DIR/base.f32`, the queries to `DIR/queries.f32` for a peer to read.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use mlk8s_search::{Index, Item, Mode, Nearest, Query, Scan, Settings, Silent, Vectors};

const N_CENTRES: usize = 2000;
const NOISE: f32 = 0.7;
/// Noise beside the latent dimensions, as a share of a vector's length.
const BESIDE: f32 = 0.1;
const BATCH: usize = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let dir = Path::new(args.get(1).ok_or("name a folder")?);
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |arg| arg.parse());
    let (n, dims, n_queries) = (number(2, 1_000_000)?, number(3, 384)?, number(4, 50)?);
    let space = Space::new(number(5, dims)?, dims);
    let mut out = std::io::stdout().lock();
    let path = dir.join("index");
    if !Index::is_index(&path) {
        build(dir, n, &space, &mut out)?;
    }
    let index = Index::open(&path)?;
    writeln!(out, "{:?}", index.stats())?;
    let queries = space.vectors(n_queries, 1 << 40);
    std::fs::write(dir.join("queries.f32"), bytemuck::cast_slice(&queries))?;
    time(&index, &queries, dims, &mut out)
}

fn build(
    dir: &Path,
    n: usize,
    space: &Space,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let dims = space.dims;
    // Where a graph does not find its way, none is made.
    let nearest = if space.map.is_some() {
        Nearest::Auto
    } else {
        Nearest::Exact
    };
    let settings = Settings {
        nearest,
        ..Settings::default()
    };
    let mut index = Index::create(&dir.join("index"), settings)?;
    let mut base = std::fs::File::create(dir.join("base.f32"))?;
    let mut adding = Duration::ZERO;
    for start in (0..n).step_by(BATCH) {
        let n_batch = BATCH.min(n - start);
        let values = space.vectors(n_batch, start as u64);
        base.write_all(bytemuck::cast_slice(&values))?;
        let items: Vec<Item> = (start..start + n_batch).map(item).collect();
        let began = Instant::now();
        index.add(
            &items,
            Some(Vectors {
                values: &values,
                dims,
            }),
            &Silent,
        )?;
        adding += began.elapsed();
    }
    writeln!(out, "add {n} items: {adding:.1?}")?;
    let began = Instant::now();
    writeln!(
        out,
        "{:?} in {:.1?}",
        index.compact(&Silent)?,
        began.elapsed()
    )?;
    Ok(())
}

/// An item with twenty words of a vocabulary whose frequencies fall like those of a language.
fn item(i: usize) -> Item {
    let mut rng = fastrand::Rng::with_seed(i as u64);
    let words: Vec<String> = (0..20)
        .map(|_| format!("word{}", (50_000.0_f32.powf(rng.f32())) as u32))
        .collect();
    Item {
        id: i.to_string(),
        text: words.join(" "),
        ..Item::default()
    }
}

fn normal(rng: &mut fastrand::Rng) -> f32 {
    (-2.0 * rng.f32().max(1e-12).ln()).sqrt() * (std::f32::consts::TAU * rng.f32()).cos()
}

/// Where vectors are drawn from.
struct Space {
    latent: usize,
    dims: usize,
    /// `N_CENTRES × latent`.
    centres: Vec<f32>,
    /// `latent × dims`, rows of length about 1; none where the latent dimensions are all there are.
    map: Option<Vec<f32>>,
}

impl Space {
    fn new(latent: usize, dims: usize) -> Space {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| normal(&mut rng)).collect() };
        let centres = draw(N_CENTRES * latent);
        let scale = (dims as f32).sqrt().recip();
        let map = (latent < dims).then(|| draw(latent * dims).iter().map(|v| v * scale).collect());
        Space {
            latent,
            dims,
            centres,
            map,
        }
    }

    /// Clustered unit vectors; the i-th depends on `first + i` only.
    fn vectors(&self, n: usize, first: u64) -> Vec<f32> {
        let mut values = Vec::with_capacity(n * self.dims);
        for i in 0..n as u64 {
            let mut rng = fastrand::Rng::with_seed(0x5eed ^ (first + i));
            let centre = rng.usize(..N_CENTRES) * self.latent;
            let row: Vec<f32> = (0..self.latent)
                .map(|j| self.centres[centre + j] + NOISE * normal(&mut rng))
                .collect();
            let row = match &self.map {
                Some(map) => self.mapped(map, &row, &mut rng),
                None => row,
            };
            let length = norm(&row);
            values.extend(row.iter().map(|v| v / length));
        }
        values
    }

    fn mapped(&self, map: &[f32], row: &[f32], rng: &mut fastrand::Rng) -> Vec<f32> {
        let mut mapped = vec![0.0; self.dims];
        for (x, direction) in row.iter().zip(map.chunks_exact(self.dims)) {
            mapped
                .iter_mut()
                .zip(direction)
                .for_each(|(sum, d)| *sum += x * d);
        }
        let beside = BESIDE * norm(&mapped) / (self.dims as f32).sqrt();
        for v in &mut mapped {
            *v += beside * normal(rng);
        }
        mapped
    }
}

fn norm(row: &[f32]) -> f32 {
    row.iter().map(|v| v * v).sum::<f32>().sqrt()
}

fn time(
    index: &Index,
    queries: &[f32],
    dims: usize,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut times: Vec<(&str, Vec<Duration>)> = Vec::new();
    for name in ["values", "codes", "words", "hybrid, with items", "graph"] {
        times.push((name, Vec::new()));
    }
    let mut n_same = 0_usize;
    let mut n_found = 0_usize;
    for (i, vector) in queries.chunks_exact(dims).enumerate() {
        let mut lists = Vec::new();
        for (scan, times) in [Scan::Values, Scan::Codes].into_iter().zip(&mut times) {
            let began = Instant::now();
            lists.push(index.neighbours(vector, 10, scan)?);
            times.1.push(began.elapsed());
        }
        n_same += usize::from(lists[0] == lists[1]);
        let text = item(1_000_000_007 + i)
            .text
            .split(' ')
            .take(4)
            .collect::<Vec<_>>()
            .join(" ");
        let words = Query {
            text,
            mode: Mode::Words,
            ..Query::default()
        };
        times[2].1.push(index.search(&words)?.elapsed);
        let hybrid = Query {
            vector: Some(vector.to_vec()),
            mode: Mode::Hybrid,
            ..words
        };
        times[3].1.push(index.search(&hybrid)?.elapsed);
        let graph = Query {
            mode: Mode::Vectors,
            top: 10,
            ..hybrid
        };
        // The first walk of a query has its pages read.
        index.search(&graph)?;
        let found = index.search(&graph)?;
        times[4].1.push(found.elapsed);
        let found: Vec<&str> = found.hits.iter().map(|hit| hit.item.id.as_str()).collect();
        n_found += lists[0]
            .iter()
            .filter(|neighbour| found.contains(&neighbour.0.as_str()))
            .count();
    }
    for (name, mut times) in times {
        times.sort();
        writeln!(
            out,
            "{name:>20}: median {:.3?}, fastest {:.3?}",
            times[times.len() / 2],
            times[0]
        )?;
    }
    let n_queries = queries.len() / dims;
    writeln!(
        out,
        "recall@10 of the graph: {:.4}; {}",
        n_found as f64 / (10 * n_queries) as f64,
        index
            .stats()
            .recall
            .map_or_else(|| "there is none".to_owned(), |recall| recall.to_string()),
    )?;
    writeln!(
        out,
        "codes gave the list of values, bit by bit, for {n_same} of {n_queries} queries"
    )?;
    Ok(())
}
