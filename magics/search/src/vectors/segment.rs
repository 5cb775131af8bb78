//! One file of vectors: rows, codes of 8 bits and unit vectors, mapped into memory.
//!
//! ```text
//! header   magic, version, dims, rows, then a CRC-32 of the body and one of the header
//! rows     u32 each, ascending: which item a vector belongs to
//! scales   f32 each: what one step of a code is worth
//! errors   f32 each: length of what coding lost, rounded up
//! spreads  f32 each: the same for the halves of the codes
//! halves   u8 each, the upper halves of two codes (see `halves.rs`)
//! codes    u8 each, 128 stands for 0; a row is padded to 64
//! values   f32 each; a row is padded to 32
//! ```
//! Numbers are little-endian, sections start at multiples of 64 bytes. A file is written once and never changed. Files of
//! version 1 have neither spreads nor halves.
#![expect(unsafe_code, reason = "mapping a file into memory")]

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::dot::{CODES, FLOATS};
use super::halves;
use crate::error::{SearchError, at};

const MAGIC: &[u8; 8] = b"mlk8svec";
const VERSION: u32 = 2;
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
    version: u32,
    dims: usize,
    n: usize,
}

/// The sections of a file, in their order.
#[derive(Debug, Clone, Copy)]
enum Part {
    Rows,
    Scales,
    Errors,
    Spreads,
    Halves,
    Codes,
    Values,
}

impl Layout {
    fn floats(self) -> usize {
        self.dims.next_multiple_of(FLOATS)
    }
    fn stride(self) -> usize {
        self.dims.next_multiple_of(CODES)
    }
    /// Byte ranges of the parts.
    fn sections(self) -> [Range<usize>; 7] {
        let (spread, halves) = if self.version < 2 {
            (0, 0)
        } else {
            (4, halves::width(self.stride()))
        };
        let mut start = HEADER;
        [4, 4, 4, spread, halves, self.stride(), 4 * self.floats()].map(|width| {
            let range = start..start + width * self.n;
            start = range.end.next_multiple_of(64);
            range
        })
    }
    fn section(self, part: Part) -> Range<usize> {
        self.sections()[part as usize].clone()
    }
    fn n_bytes(self) -> usize {
        self.section(Part::Values).end
    }
    fn header(self, body: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
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
            version: word(8),
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
        self.section(Part::Rows)
    }

    /// What one step of a code is worth, per vector.
    pub(crate) fn scales(&self) -> &[f32] {
        self.section(Part::Scales)
    }

    /// At most this is the length of what coding lost, per vector.
    pub(crate) fn errors(&self) -> &[f32] {
        self.section(Part::Errors)
    }

    /// The same for the halves of the codes; empty in a file that has none.
    pub(crate) fn spreads(&self) -> &[f32] {
        self.section(Part::Spreads)
    }

    /// Halves of some vectors, rows half as long as those of codes; only where [`Segment::spreads`] is not empty.
    pub(crate) fn halves(&self, range: Range<usize>) -> &[u8] {
        let width = halves::width(self.stride());
        &self.section::<u8>(Part::Halves)[range.start * width..range.end * width]
    }

    /// Codes of some vectors, padded rows of [`Segment::stride`].
    pub(crate) fn codes(&self, range: Range<usize>) -> &[u8] {
        let stride = self.stride();
        &self.section::<u8>(Part::Codes)[range.start * stride..range.end * stride]
    }

    /// Bytes of a padded row of codes.
    pub(crate) fn stride(&self) -> usize {
        self.layout.stride()
    }

    /// Values of some vectors, padded rows of [`Segment::floats`].
    pub(crate) fn values(&self, range: Range<usize>) -> &[f32] {
        let floats = self.floats();
        &self.section::<f32>(Part::Values)[range.start * floats..range.end * floats]
    }

    /// One vector, without padding.
    pub(crate) fn vector(&self, position: usize) -> &[f32] {
        &self.values(position..position + 1)[..self.dims()]
    }

    /// Floats of a padded row of values.
    pub(crate) fn floats(&self) -> usize {
        self.layout.floats()
    }

    fn section<T: bytemuck::AnyBitPattern>(&self, part: Part) -> &[T] {
        bytemuck::cast_slice(&self.map[self.layout.section(part)])
    }
}

#[cfg(test)]
impl Segment {
    /// Writes the same vectors as a file of version 1.
    pub(super) fn write_first_version(&self, path: &Path) {
        let layout = Layout {
            version: 1,
            ..self.layout
        };
        let mut bytes = vec![0; layout.n_bytes()];
        let mut hasher = crc32fast::Hasher::new();
        for part in [
            Part::Rows,
            Part::Scales,
            Part::Errors,
            Part::Codes,
            Part::Values,
        ] {
            let from = &self.map[self.layout.section(part)];
            bytes[layout.section(part)].copy_from_slice(from);
            hasher.update(from);
        }
        bytes[..HEADER].copy_from_slice(&layout.header(hasher.finalize()));
        std::fs::write(path, bytes).unwrap();
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
        version: VERSION,
        dims,
        n: rows.len(),
    };
    let file = File::create(path).map_err(at(path))?;
    write_all(file, layout, rows, give).map_err(at(path))
}

/// What coding a vector gave besides its codes: a scale, an error and a spread.
type Marks = (f32, (f32, f32));

fn write_all(
    file: File,
    layout: Layout,
    rows: &[u32],
    give: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> std::io::Result<()> {
    let (dims, stride, floats) = (layout.dims, layout.stride(), layout.floats());
    let width = halves::width(stride);
    // The gaps between sections are never written.
    file.set_len(layout.n_bytes() as u64)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut values = vec![0.0_f32; CHUNK.min(rows.len()) * floats];
    let mut codes = vec![0_u8; rows.len() * stride];
    let mut upper = vec![0_u8; rows.len() * width];
    let mut marks: Vec<Marks> = vec![Marks::default(); rows.len()];
    let (mut tail, mut head) = (crc32fast::Hasher::new(), crc32fast::Hasher::new());
    out.seek(SeekFrom::Start(layout.section(Part::Values).start as u64))?;
    let chunks = codes
        .chunks_mut(CHUNK * stride)
        .zip(upper.chunks_mut(CHUNK * width))
        .zip(marks.chunks_mut(CHUNK));
    for (chunk, ((codes, upper), marks)) in chunks.enumerate() {
        let values = &mut values[..marks.len() * floats];
        let rows = values
            .par_chunks_mut(floats)
            .zip(codes.par_chunks_mut(stride))
            .zip(upper.par_chunks_mut(width));
        rows.zip(marks.par_iter_mut()).enumerate().for_each(
            |(i, (((values, codes), upper), mark))| {
                give(chunk * CHUNK + i, &mut values[..dims]);
                let (scale, error) = code(&values[..dims], codes);
                let spread = halves::pack(&values[..dims], scale, codes, upper);
                *mark = (scale, (error, spread));
            },
        );
        let bytes: &[u8] = bytemuck::cast_slice(values);
        tail.update(bytes);
        out.write_all(bytes)?;
    }
    let (scales, marks): (Vec<f32>, Vec<(f32, f32)>) = marks.into_iter().unzip();
    let (errors, spreads): (Vec<f32>, Vec<f32>) = marks.into_iter().unzip();
    let parts: [(Part, &[u8]); 6] = [
        (Part::Rows, bytemuck::cast_slice(rows)),
        (Part::Scales, bytemuck::cast_slice(&scales)),
        (Part::Errors, bytemuck::cast_slice(&errors)),
        (Part::Spreads, bytemuck::cast_slice(&spreads)),
        (Part::Halves, &upper),
        (Part::Codes, &codes),
    ];
    for (part, bytes) in parts {
        head.update(bytes);
        out.seek(SeekFrom::Start(layout.section(part).start as u64))?;
        out.write_all(bytes)?;
    }
    head.combine(&tail);
    out.rewind()?;
    out.write_all(&layout.header(head.finalize()))?;
    out.into_inner()?.sync_all()
}
