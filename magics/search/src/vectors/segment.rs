//! One file of vectors: rows, codes of 8 bits and unit vectors, mapped into memory.
//!
//! ```text
//! header   magic, version, dims, rows, then a CRC-32 of the body and one of the header
//! rows     u32 each, ascending: which item a vector belongs to
//! scales   f32 each: what one step of a code is worth
//! errors   f32 each: length of what coding lost, rounded up
//! codes    u8 each, 128 stands for 0; a row is padded to 64
//! values   f32 each; a row is padded to 32
//! ```
//! Numbers are little-endian, sections start at multiples of 64 bytes. A file is written once and never changed.
#![expect(unsafe_code, reason = "mapping a file into memory")]

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::dot::{CODES, FLOATS};
use crate::error::{SearchError, at};

const MAGIC: &[u8; 8] = b"mlk8svec";
const VERSION: u32 = 1;
const HEADER: usize = 64;
/// Rows that are coded and written at a time.
const CHUNK: usize = 4096;

/// A mapped file of vectors.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    map: Mmap,
    layout: Layout,
}

/// Where the sections of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    dims: usize,
    n: usize,
}

impl Layout {
    fn floats(self) -> usize {
        self.dims.next_multiple_of(FLOATS)
    }
    fn stride(self) -> usize {
        self.dims.next_multiple_of(CODES)
    }
    /// Byte ranges of rows, scales, errors, codes and values.
    fn sections(self) -> [Range<usize>; 5] {
        let mut start = HEADER;
        [4, 4, 4, self.stride(), 4 * self.floats()].map(|width| {
            let range = start..start + width * self.n;
            start = range.end.next_multiple_of(64);
            range
        })
    }
    fn n_bytes(self) -> usize {
        self.sections()[4].end
    }
    fn header(self, body: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.dims as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&(self.n as u64).to_le_bytes());
        bytes[24..28].copy_from_slice(&body.to_le_bytes());
        let check = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&check.to_le_bytes());
        bytes
    }
}

impl Segment {
    /// Maps a file; its header and its length are checked, its body is not (see [`Segment::verify`]).
    pub(crate) fn open(path: &Path) -> Result<Self, SearchError> {
        let damaged = |what: String| SearchError::Damaged {
            path: path.to_owned(),
            what,
        };
        let map = map(path)?;
        let header: &[u8; HEADER] = map
            .first_chunk()
            .ok_or_else(|| damaged(format!("{} bytes are no header", map.len())))?;
        let word =
            |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        if &header[..8] != MAGIC || word(28) != crc32fast::hash(&header[..28]) {
            return Err(damaged(
                "its header is not that of a vector file".to_owned(),
            ));
        }
        if word(8) > VERSION {
            return Err(SearchError::Format {
                path: path.to_owned(),
                found: word(8),
                known: VERSION,
            });
        }
        let layout = Layout {
            dims: word(12) as usize,
            n: word(16) as usize,
        };
        if map.len() != layout.n_bytes() {
            let (found, wanted) = (map.len(), layout.n_bytes());
            return Err(damaged(format!("it has {found} bytes of {wanted}")));
        }
        Ok(Self {
            path: path.to_owned(),
            map,
            layout,
        })
    }

    /// Reads everything and compares it with the checksum.
    pub(crate) fn verify(&self) -> Result<(), SearchError> {
        let mut hasher = crc32fast::Hasher::new();
        for section in self.layout.sections() {
            hasher.update(&self.map[section]);
        }
        if self.layout.header(hasher.finalize()) == self.map[..HEADER] {
            Ok(())
        } else {
            Err(SearchError::Damaged {
                path: self.path.clone(),
                what: "its checksum does not fit".to_owned(),
            })
        }
    }

    /// Checksum of all that is in it.
    pub(crate) fn stamp(&self) -> u32 {
        u32::from_le_bytes([self.map[24], self.map[25], self.map[26], self.map[27]])
    }

    /// Dimensions of a vector.
    pub(crate) fn dims(&self) -> usize {
        self.layout.dims
    }

    /// Vectors in it.
    pub(crate) fn len(&self) -> usize {
        self.layout.n
    }

    /// Row of each vector, ascending.
    pub(crate) fn rows(&self) -> &[u32] {
        self.section(0)
    }

    /// What one step of a code is worth, per vector.
    pub(crate) fn scales(&self) -> &[f32] {
        self.section(1)
    }

    /// At most this is the length of what coding lost, per vector.
    pub(crate) fn errors(&self) -> &[f32] {
        self.section(2)
    }

    /// Codes of some vectors, padded rows of [`Segment::stride`].
    pub(crate) fn codes(&self, range: Range<usize>) -> &[u8] {
        let stride = self.stride();
        &self.section::<u8>(3)[range.start * stride..range.end * stride]
    }

    /// Bytes of a padded row of codes.
    pub(crate) fn stride(&self) -> usize {
        self.layout.stride()
    }

    /// Values of some vectors, padded rows of [`Segment::floats`].
    pub(crate) fn values(&self, range: Range<usize>) -> &[f32] {
        let floats = self.floats();
        &self.section::<f32>(4)[range.start * floats..range.end * floats]
    }

    /// One vector, without padding.
    pub(crate) fn vector(&self, position: usize) -> &[f32] {
        &self.values(position..position + 1)[..self.dims()]
    }

    /// Floats of a padded row of values.
    pub(crate) fn floats(&self) -> usize {
        self.layout.floats()
    }

    fn section<T: bytemuck::AnyBitPattern>(&self, which: usize) -> &[T] {
        bytemuck::cast_slice(&self.map[self.layout.sections()[which].clone()])
    }
}

/// Maps a file of an index.
pub(super) fn map(path: &Path) -> Result<Mmap, SearchError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SearchError::Damaged {
            path: path.to_owned(),
            what: "it is missing".to_owned(),
        },
        _ => at(path)(source),
    })?;
    // SAFETY: files of an index are written once and only ever unlinked, which leaves the mapping whole.
    unsafe { Mmap::map(&file) }.map_err(at(path))
}

/// Codes of a vector: a step and how long the rest is that they cannot say.
pub(super) fn code(values: &[f32], codes: &mut [u8]) -> (f32, f32) {
    let most = values.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    let scale = most / 127.0;
    codes.fill(128);
    let mut lost = 0.0_f64;
    for (code, value) in codes.iter_mut().zip(values) {
        let step = if scale > 0.0 {
            (value / scale).round()
        } else {
            0.0
        };
        *code = (step + 128.0) as u8;
        lost += f64::from(value - step * scale).powi(2);
    }
    (scale, lost.sqrt() as f32 * 1.0001 + 1e-6)
}

/// Writes a file of `rows.len()` vectors, synced to the disk; `give(i, out)` gives the i-th, of unit length.
pub(crate) fn write(
    path: &Path,
    dims: usize,
    rows: &[u32],
    give: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Result<(), SearchError> {
    let layout = Layout {
        dims,
        n: rows.len(),
    };
    let file = File::create(path).map_err(at(path))?;
    write_all(file, layout, rows, give).map_err(at(path))
}

fn write_all(
    file: File,
    layout: Layout,
    rows: &[u32],
    give: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> std::io::Result<()> {
    let (dims, stride, floats) = (layout.dims, layout.stride(), layout.floats());
    let [rows_at, scales_at, errors_at, codes_at, values_at] = layout.sections();
    // The gaps between sections are never written.
    file.set_len(layout.n_bytes() as u64)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut values = vec![0.0_f32; CHUNK.min(rows.len()) * floats];
    let mut codes = vec![0_u8; rows.len() * stride];
    let mut marks = vec![(0.0, 0.0); rows.len()];
    let (mut tail, mut head) = (crc32fast::Hasher::new(), crc32fast::Hasher::new());
    out.seek(SeekFrom::Start(values_at.start as u64))?;
    let chunks = codes
        .chunks_mut(CHUNK * stride)
        .zip(marks.chunks_mut(CHUNK));
    for (chunk, (codes, marks)) in chunks.enumerate() {
        let values = &mut values[..marks.len() * floats];
        let rows = values
            .par_chunks_mut(floats)
            .zip(codes.par_chunks_mut(stride));
        rows.zip(marks.par_iter_mut())
            .enumerate()
            .for_each(|(i, ((values, codes), mark))| {
                give(chunk * CHUNK + i, &mut values[..dims]);
                *mark = code(&values[..dims], codes);
            });
        let bytes: &[u8] = bytemuck::cast_slice(values);
        tail.update(bytes);
        out.write_all(bytes)?;
    }
    let (scales, errors): (Vec<f32>, Vec<f32>) = marks.into_iter().unzip();
    let parts: [(usize, &[u8]); 4] = [
        (rows_at.start, bytemuck::cast_slice(rows)),
        (scales_at.start, bytemuck::cast_slice(&scales)),
        (errors_at.start, bytemuck::cast_slice(&errors)),
        (codes_at.start, &codes),
    ];
    for (start, bytes) in parts {
        head.update(bytes);
        out.seek(SeekFrom::Start(start as u64))?;
        out.write_all(bytes)?;
    }
    head.combine(&tail);
    out.rewind()?;
    out.write_all(&layout.header(head.finalize()))?;
    out.into_inner()?.sync_all()
}
