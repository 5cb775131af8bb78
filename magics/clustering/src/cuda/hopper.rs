//! How the kernel for Hopper divides the rows, and its shared memory.

/// Columns of a line of rows in shared memory.
pub(super) const LINE: usize = 64;
/// Pieces of 16 bytes of such a line.
pub(super) const LINE_PIECES: usize = 8;
/// Pieces of a line of a stage of centroids.
pub(super) const STAGE_PIECES: usize = 8;
/// Centroids of a tile.
pub(super) const TILE: usize = 128;
/// Bytes of shared memory that a block can have.
pub(super) const SHARED: u32 = 227 << 10;
/// Bytes of it where two blocks are to fit on a multiprocessor.
const HALF: usize = (228 << 10) / 2 - 1024;
/// Rows of a warpgroup, and its threads.
const GROUP_ROWS: usize = 64;
const GROUP: usize = 128;
/// Bytes of a stage.
const STAGE: usize = TILE * STAGE_PIECES * 16;
/// Stages that are worth having.
const RING: usize = 8;

/// How a block holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Warpgroups, each with 64 rows: 4, 3, 2 or 1.
    groups: usize,
    /// Lines of 64 columns of a row.
    pub(super) lines: usize,
    /// Stages of centroids.
    pub(super) ring: usize,
    /// Bytes of shared memory.
    pub(super) shared: u32,
    /// Blocks that a multiprocessor holds.
    together: usize,
}

impl Block {
    /// For rows of so many columns; `None` where they are too long for shared memory.
    pub(super) fn new(columns: usize) -> Option<Block> {
        [4, 2, 1]
            .into_iter()
            .find_map(|groups| Block::with(columns, groups, 1))
    }

    fn with(columns: usize, groups: usize, together: usize) -> Option<Block> {
        let lines = columns.div_ceil(LINE);
        // Rows; stages; a barrier and a counter for each stage and for each line of a warpgroup.
        let bytes = |ring: usize| {
            groups * lines * GROUP_ROWS * LINE * 2 + ring * STAGE + (ring + groups * lines) * 12
        };
        let most = if together == 1 { SHARED as usize } else { HALF };
        let ring = (2..=RING).rev().find(|&ring| bytes(ring) <= most)?;
        Some(Block {
            groups,
            lines,
            ring,
            shared: u32::try_from(bytes(ring)).ok()?,
            together,
        })
    }

    /// How many blocks work on so many rows; each goes on to others when it is done with its first.
    pub(super) fn blocks(&self, rows: usize, multiprocessors: usize) -> usize {
        rows.div_ceil(self.groups * GROUP_ROWS)
            .min(multiprocessors * self.together)
    }

    /// Threads of a block.
    pub(super) fn threads(&self) -> u32 {
        (self.groups * GROUP) as u32
    }

    /// Pieces of `rows` rows in 16 bits.
    pub(super) fn pieces(&self, rows: usize) -> usize {
        rows.next_multiple_of(GROUP_ROWS) * self.lines * LINE_PIECES
    }

    /// Pieces that are read for them at most: the last block is whole, whatever stands behind the rows.
    pub(super) fn room(&self, rows: usize) -> usize {
        self.pieces(rows + (self.groups - 1) * GROUP_ROWS)
    }

    /// The kernel, for numbers in bf16 (`half`) or f16.
    pub(super) fn kernel(&self, half: bool) -> &'static str {
        match (half, self.groups) {
            (false, 4) => "assign_hopper_f16_4",
            (false, 3) => "assign_hopper_f16_3",
            (false, 2) => "assign_hopper_f16_2",
            (false, _) => "assign_hopper_f16_1",
            (true, 4) => "assign_hopper_bf16_4",
            (true, 3) => "assign_hopper_bf16_3",
            (true, 2) => "assign_hopper_bf16_2",
            (true, _) => "assign_hopper_bf16_1",
        }
    }
}
