//! Searching by codes finds what searching by values finds.

use super::*;
use crate::index::tests::random;

fn segments(dir: &std::path::Path, values: &[f32], dims: usize, sizes: &[usize]) -> Vec<Segment> {
    let mut start = 0;
    let mut segments = Vec::new();
    for (i, &n) in sizes.iter().enumerate() {
        let path = dir.join(format!("{i}.vec"));
        let rows: Vec<u32> = (start..start + n).map(|row| 2 * row as u32).collect();
        let fill = |i: usize, out: &mut [f32]| {
            out.copy_from_slice(&values[(start + i) * dims..(start + i + 1) * dims]);
        };
        write(&path, dims, &rows, &fill).unwrap();
        segments.push(Segment::open(&path).unwrap());
        start += n;
    }
    segments
}

/// The nearest by plain sums in double precision.
fn plain(values: &[f32], query: &[f32], mask: &Bits, k: usize) -> Vec<u32> {
    let mut scored: Vec<(f64, u32)> = values
        .chunks_exact(query.len())
        .zip((0..).step_by(2))
        .filter(|&(_, row)| mask.get(row))
        .map(|(x, row)| {
            (
                x.iter().zip(query).map(|(a, b)| f64::from(a * b)).sum(),
                row,
            )
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().take(k).map(|(_, row)| row).collect()
}

#[test]
fn codes_and_values_find_the_same_as_plain_sums() {
    let dir = tempfile::tempdir().unwrap();
    for (dims, sizes) in [
        (24, [3000, 17, 9000]),
        (70, [1, 5000, 300]),
        (130, [9000, 1, 1]),
    ] {
        let n: usize = sizes.iter().sum();
        let values = random(n, dims, dims as u64);
        let segments = segments(dir.path(), &values, dims, &sizes);
        for segment in &segments {
            segment.verify().unwrap();
        }
        // All, most, few and none.
        for every in [1, 3, 40, usize::MAX] {
            let mut mask = Bits::none(2 * n);
            (0..n)
                .filter(|i| i % every == every.min(2) - 1)
                .for_each(|i| mask.set(2 * i as u32));
            for query in random(5, dims, 99).chunks_exact(dims) {
                let probe = Probe::new(query);
                for k in [1, 10, 100] {
                    let codes = nearest(&segments, &probe, &mask, k, Scan::Codes);
                    assert_eq!(codes, nearest(&segments, &probe, &mask, k, Scan::Values));
                    let rows: Vec<u32> = codes.iter().map(|scored| scored.row).collect();
                    assert_eq!(rows, plain(&values, query, &mask, k));
                }
            }
        }
    }
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let dir = tempfile::tempdir().unwrap();
    let values = random(20_000, 32, 4);
    let segments = segments(dir.path(), &values, 32, &[20_000]);
    let mut mask = Bits::none(40_000);
    (0..20_000).for_each(|row| mask.set(2 * row));
    let probe = Probe::new(&random(1, 32, 5));
    let with = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build()
            .unwrap();
        pool.install(|| nearest(&segments, &probe, &mask, 50, Scan::Codes))
    };
    assert_eq!(with(1), with(2));
    assert_eq!(with(1), with(7));
}

#[test]
fn equal_vectors_come_in_the_order_of_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let one = random(1, 48, 6);
    let values: Vec<f32> = one.iter().copied().cycle().take(48 * 2000).collect();
    let segments = segments(dir.path(), &values, 48, &[1500, 500]);
    let mut mask = Bits::none(4000);
    (0..2000).for_each(|row| mask.set(2 * row));
    for scan in [Scan::Codes, Scan::Values] {
        let found = nearest(&segments, &Probe::new(&one), &mask, 5, scan);
        assert_eq!(
            found.iter().map(|scored| scored.row).collect::<Vec<_>>(),
            [0, 2, 4, 6, 8]
        );
    }
}
