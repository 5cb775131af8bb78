//! What the kernels are told of a batch: one table of numbers, sent at once.

use candle_core::{Device, Result, Tensor};

/// Queries of a block at most, and what a warp takes of them.
const MOST_QUERIES: usize = 64;
const OF_WARP: usize = 16;
/// Words of an entry for attention.
const ENTRY: usize = 3;

/// A batch of sequences that stand one after the other.
pub(super) struct Plan {
    /// Rows of all sequences.
    pub(super) n_rows: usize,
    /// Sequences.
    pub(super) n: usize,
    /// Ids of all rows; empty where rows come as vectors.
    pub(super) ids: Tensor,
    /// Place of each row in its sequence.
    pub(super) places: Tensor,
    /// Where each sequence begins, and where the last ends.
    pub(super) firsts: Tensor,
    /// Rows that are asked for.
    pub(super) picks: Tensor,
    /// Blocks of attention by the warps that they take.
    pub(super) blocks: Vec<Blocks>,
}

/// Blocks of attention of one size.
pub(super) struct Blocks {
    pub(super) warps: usize,
    pub(super) n: usize,
    pub(super) table: Tensor,
}

impl Plan {
    /// Plans for sequences of these lengths, none of them 0.
    pub(super) fn new(
        lengths: &[usize],
        ids: &[&[u32]],
        picks: &[u32],
        device: &Device,
    ) -> Result<Self> {
        let n_rows: usize = lengths.iter().sum();
        let mut words: Vec<u32> = Vec::with_capacity(2 * n_rows + 8 * lengths.len());
        words.extend(ids.iter().flat_map(|ids| ids.iter()));
        let n_ids = words.len();
        words.extend(lengths.iter().flat_map(|n| 0..*n as u32));
        let mut first = 0;
        words.push(0);
        words.extend(lengths.iter().map(|n| {
            first += *n as u32;
            first
        }));
        words.extend(picks);
        let tables: Vec<(usize, Vec<u32>)> = [1, 2, 4]
            .into_iter()
            .map(|warps| (warps, entries(lengths, warps)))
            .filter(|(_, entries)| !entries.is_empty())
            .collect();
        let starts: Vec<usize> = tables
            .iter()
            .map(|(_, entries)| {
                words.extend(entries);
                words.len() - entries.len()
            })
            .collect();
        let all = Tensor::from_vec(
            words,
            (n_ids
                + n_rows
                + lengths.len()
                + 1
                + picks.len()
                + tables
                    .iter()
                    .map(|(_, entries)| entries.len())
                    .sum::<usize>(),),
            device,
        )?;
        let blocks = tables.iter().zip(starts).map(|((warps, entries), start)| {
            Ok(Blocks {
                warps: *warps,
                n: entries.len() / ENTRY,
                table: all.narrow(0, start, entries.len())?,
            })
        });
        let firsts = n_ids + n_rows;
        Ok(Self {
            n_rows,
            n: lengths.len(),
            ids: all.narrow(0, 0, n_ids)?,
            places: all.narrow(0, n_ids, n_rows)?,
            firsts: all.narrow(0, firsts, lengths.len() + 1)?,
            picks: all.narrow(0, firsts + lengths.len() + 1, picks.len())?,
            blocks: blocks.collect::<Result<_>>()?,
        })
    }
}

/// First row, length and first query of the blocks of sequences that take so many warps: as few as hold all queries, four
/// where none do.
fn entries(lengths: &[usize], warps: usize) -> Vec<u32> {
    let mut entries = Vec::new();
    let mut row = 0;
    for length in lengths {
        let own = length.div_ceil(OF_WARP).next_power_of_two();
        if own.min(MOST_QUERIES / OF_WARP) == warps {
            for first in (0..*length).step_by(warps * OF_WARP) {
                entries.extend([row as u32, *length as u32, first as u32]);
            }
        }
        row += length;
    }
    entries
}
