//! What the kernels of a step look up: one table of numbers, made and sent once a step.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

use crate::forward::{Batch, PAGE, Part};

/// Queries of one block of the kernel for many rows.
const TILE_ROWS: usize = 64;
/// Queries of one sequence and one key-value head from which on that kernel is the better one.
const MANY_ROWS: usize = 16;
/// Tokens that an item of a split row has at least.
const LEAST_TOKENS: usize = 256;
/// Blocks for each processor of the card that keep it busy.
const BLOCKS: usize = 2;
/// Stands for a row that is not split.
const WHOLE: u32 = u32::MAX;

/// How attention is spread over blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    /// Query heads that share a key-value head.
    pub(super) group: usize,
    /// Blocks for each item of the kernel for single rows.
    pub(super) blocks: usize,
    /// Whether there is a kernel for many rows.
    pub(super) tiles: bool,
    /// Processors of the card.
    pub(super) n_processors: usize,
}

/// A part of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Section {
    words: Range<usize>,
}

/// The table in the making.
#[derive(Debug, Default)]
pub(super) struct Tables {
    words: Vec<u32>,
    tokens: Section,
    positions: Section,
    slots: Section,
    rows: Section,
    pages: Section,
    items: Section,
    merges: Section,
    stretches: Section,
    n_slots: usize,
}

/// The tables on the device. Those of attention are lists of structures, see the kernels.
#[derive(Debug)]
pub(super) struct Plan {
    /// Rows of the step.
    pub(super) n_rows: usize,
    /// Each row's token.
    pub(super) tokens: Tensor,
    /// Each row's position in its sequence.
    pub(super) positions: Tensor,
    /// Where each row's keys and values go: page · 32 + token.
    pub(super) slots: Tensor,
    /// The rows that are wanted.
    pub(super) rows: List,
    /// The pages of all parts.
    pub(super) pages: Tensor,
    /// Rows, and stretches of the tokens they see, for the kernel for single rows.
    pub(super) items: List,
    /// Rows that were split: row, first slot, slots.
    pub(super) merges: List,
    /// Rows of a sequence for the kernel for many rows.
    pub(super) stretches: List,
    /// Sums that are to be merged.
    pub(super) n_slots: usize,
}

/// A table of structures; empty ones have a tensor of something else.
#[derive(Debug)]
pub(super) struct List {
    pub(super) table: Tensor,
    pub(super) len: usize,
}

impl Tables {
    /// The tables of a batch that has been checked.
    pub(super) fn new(batch: &Batch, spread: Spread) -> Self {
        let mut tables = Self::default();
        tables.tokens = tables.push(batch.tokens.iter().copied());
        let positions = |part: &Part| part.length - part.len..part.length;
        let all = batch.parts.iter().flat_map(positions);
        tables.positions = tables.push(all.map(|position| position as u32));
        let slot = |part: &Part, position: usize| {
            part.pages[position / PAGE] * PAGE as u32 + (position % PAGE) as u32
        };
        let slots = batch
            .parts
            .iter()
            .flat_map(|part| positions(part).map(move |position| slot(part, position)));
        tables.slots = tables.push(slots);
        tables.rows = tables.push(batch.rows.iter().map(|row| *row as u32));
        let pages = batch.parts.iter().flat_map(|part| &part.pages);
        tables.pages = tables.push(pages.copied());
        tables.attention(&batch.parts, spread);
        tables
    }

    fn push(&mut self, words: impl IntoIterator<Item = u32>) -> Section {
        let first = self.words.len();
        self.words.extend(words);
        Section {
            words: first..self.words.len(),
        }
    }

    /// Single rows become items, or several where there are too few blocks for the card; many rows become stretches.
    fn attention(&mut self, parts: &[Part], spread: Spread) {
        let many = |part: &Part| spread.tiles && part.len * spread.group > MANY_ROWS;
        let single = parts.iter().filter(|part| !many(part));
        let blocks = single.map(|part| part.len).sum::<usize>() * spread.blocks;
        let wanted = BLOCKS * spread.n_processors;
        let most = if blocks == 0 {
            1
        } else {
            wanted.div_ceil(blocks)
        };
        let (mut items, mut merges, mut stretches) = (Vec::new(), Vec::new(), Vec::new());
        let mut pages = 0;
        for part in parts {
            if many(part) {
                stretches.extend(stretches_of(part, pages, spread.group));
            } else {
                for row in 0..part.len {
                    self.split(part, row, pages, most, &mut items, &mut merges);
                }
            }
            pages += part.pages.len() as u32;
        }
        self.items = self.push(items);
        self.merges = self.push(merges);
        self.stretches = self.push(stretches);
    }

    /// The items of one row.
    fn split(
        &mut self,
        part: &Part,
        row: usize,
        pages: u32,
        most: usize,
        items: &mut Vec<u32>,
        merges: &mut Vec<u32>,
    ) {
        let position = part.length - part.len + row;
        let end = position + 1;
        let n = most.min(end.div_ceil(LEAST_TOKENS)).max(1);
        let step = end.div_ceil(n).next_multiple_of(PAGE);
        let row = (part.start + row) as u32;
        let firsts: Vec<usize> = (0..end).step_by(step).collect();
        if firsts.len() > 1 {
            merges.extend([row, self.n_slots as u32, firsts.len() as u32]);
        }
        for first in &firsts {
            let slot = if firsts.len() > 1 {
                self.n_slots += 1;
                self.n_slots as u32 - 1
            } else {
                WHOLE
            };
            let last = end.min(first + step);
            let [position, first, last] = [position, *first, last].map(|number| number as u32);
            items.extend([row, pages, position, first, last, slot]);
        }
    }

    /// Sends the tables to the device.
    pub(super) fn send(self, device: &Device) -> Result<Plan> {
        let n = self.words.len();
        let table = Tensor::from_vec(self.words, n, device)?;
        let view = |section: &Section| match section.words.len() {
            0 => Ok(table.clone()),
            len => table.narrow(0, section.words.start, len),
        };
        let list = |section: &Section, size: usize| -> Result<List> {
            Ok(List {
                table: view(section)?,
                len: section.words.len() / size,
            })
        };
        Ok(Plan {
            n_rows: self.tokens.words.len(),
            tokens: view(&self.tokens)?,
            positions: view(&self.positions)?,
            slots: view(&self.slots)?,
            rows: list(&self.rows, 1)?,
            pages: view(&self.pages)?,
            items: list(&self.items, 6)?,
            merges: list(&self.merges, 3)?,
            stretches: list(&self.stretches, 4)?,
            n_slots: self.n_slots,
        })
    }
}

/// Rows of a part, as many at a time as a block takes.
fn stretches_of(part: &Part, pages: u32, group: usize) -> impl Iterator<Item = u32> {
    let step = (TILE_ROWS / group).max(1);
    let (start, len, before) = (part.start, part.len, part.length - part.len);
    (0..len).step_by(step).flat_map(move |first| {
        let n = step.min(len - first);
        [
            (start + first) as u32,
            n as u32,
            pages,
            (before + first) as u32,
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(n_processors: usize, tiles: bool) -> Spread {
        Spread {
            group: 4,
            blocks: 2,
            tiles,
            n_processors,
        }
    }

    fn batch() -> Batch {
        Batch {
            tokens: vec![7; 71],
            parts: vec![
                Part {
                    start: 0,
                    len: 1,
                    length: 1000,
                    pages: (100..132).collect(),
                },
                Part {
                    start: 1,
                    len: 70,
                    length: 80,
                    pages: vec![5, 9, 2],
                },
            ],
            rows: vec![0, 70],
        }
    }

    #[test]
    fn long_rows_are_split_where_the_card_has_room() {
        let tables = Tables::new(&batch(), spread(100, true));
        let items = &tables.words[tables.items.words.clone()];
        let spans: Vec<&[u32]> = items.chunks(6).map(|item| &item[3..]).collect();
        assert_eq!(
            spans,
            [[0, 256, 0], [256, 512, 1], [512, 768, 2], [768, 1000, 3]]
        );
        assert!(items.chunks(6).all(|item| item[..3] == [0, 0, 999]));
        assert_eq!(tables.words[tables.merges.words.clone()], [0, 0, 4]);
        // A card that is busy anyway.
        let tables = Tables::new(&batch(), spread(1, true));
        let items = &tables.words[tables.items.words.clone()];
        assert_eq!(items, [0, 0, 999, 0, 1000, WHOLE]);
        assert_eq!((tables.n_slots, tables.merges.words.len()), (0, 0));
    }

    #[test]
    fn prompts_are_cut_into_tiles() {
        let tables = Tables::new(&batch(), spread(1, true));
        let stretches: Vec<&[u32]> = tables.words[tables.stretches.words.clone()]
            .chunks(4)
            .collect();
        assert_eq!(
            stretches,
            [
                [1, 16, 32, 10],
                [17, 16, 32, 26],
                [33, 16, 32, 42],
                [49, 16, 32, 58],
                [65, 6, 32, 74]
            ]
        );
        let tables = Tables::new(&batch(), spread(1, false));
        assert_eq!(tables.items.words.len(), 71 * 6);
        assert!(tables.stretches.words.is_empty());
    }

    #[test]
    fn rows_know_their_place() {
        let tables = Tables::new(&batch(), spread(1, true));
        let slots = &tables.words[tables.slots.words.clone()];
        assert_eq!(slots[0], 131 * 32 + 999 % 32);
        assert_eq!(
            (slots[1], slots[22], slots[23]),
            (5 * 32 + 10, 5 * 32 + 31, 9 * 32)
        );
        assert_eq!(tables.words[tables.positions.words.clone()][70], 79);
    }
}
