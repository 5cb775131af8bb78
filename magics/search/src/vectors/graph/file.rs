//! The file of a graph.
//!
//! ```text
//! header   magic, version, vectors, checksum of their file, how far walks go, recall, vectors that went, then a CRC-32 of
//!          the body and one of the header
//! lists    u32 each: of the lowest layer 32 words a node, of those above 16; the last word is a check of the others
//! ```
//! Numbers are little-endian. Which nodes a layer has follows from the rows of the vectors. A file is written once and never
//! changed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::links::{BASE, UPPER};
use super::recall::Recall;
use crate::error::SearchError;

const MAGIC: &[u8; 8] = b"mlk8shnw";
const VERSION: u32 = 1;
const HEADER: usize = 128;
/// Words of the header that count, the last two being checksums.
const WORDS: usize = 14;

/// What a graph says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Vectors.
    pub(super) n: usize,
    /// Checksum of their file.
    pub(super) stamp: u32,
    /// Nodes that a walk for ten keeps.
    pub(super) width: usize,
    pub(super) recall: Recall,
    /// Vectors that went since the graph was made anew.
    pub(super) n_gone: usize,
}

impl Head {
    pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Self, SearchError> {
        let damaged = || SearchError::Damaged {
            path: path.to_owned(),
            what: "its header is not that of a graph".to_owned(),
        };
        let words = words(bytes).ok_or_else(damaged)?;
        if &bytes[..8] != MAGIC || words[WORDS - 1] != crc32fast::hash(&bytes[..4 * (WORDS - 1)]) {
            return Err(damaged());
        }
        if words[2] > VERSION {
            return Err(SearchError::Format {
                path: path.to_owned(),
                found: words[2],
                known: VERSION,
            });
        }
        let number = |i: usize| words[i] as usize;
        Ok(Self {
            n: number(3),
            stamp: words[4],
            width: number(5),
            recall: Recall {
                n_queries: number(6),
                at: number(7),
                n_found: number(8),
            },
            n_gone: number(9),
        })
    }

    fn header(self, body: u32) -> [u8; HEADER] {
        let recall = self.recall;
        let numbers = [
            self.n,
            self.stamp as usize,
            self.width,
            recall.n_queries,
            recall.at,
            recall.n_found,
            self.n_gone,
        ];
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        let mut put = |word: usize, number: u32| {
            bytes[4 * word..4 * word + 4].copy_from_slice(&number.to_le_bytes());
        };
        put(2, VERSION);
        for (word, number) in (3..).zip(numbers) {
            put(word, number as u32);
        }
        put(WORDS - 2, body);
        let check = crc32fast::hash(&bytes[..4 * (WORDS - 1)]);
        bytes[4 * (WORDS - 1)..4 * WORDS].copy_from_slice(&check.to_le_bytes());
        bytes
    }
}

fn words(bytes: &[u8]) -> Option<[u32; WORDS]> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(header.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    Some(words)
}

/// Words of a list.
pub(super) fn list_width(is_base: bool) -> usize {
    if is_base { BASE } else { UPPER }
}

/// Nodes of each layer with links, the lowest first.
fn sizes(n: usize, members: &[Vec<u32>]) -> impl Iterator<Item = usize> {
    let n_layers = members.len();
    std::iter::once(n)
        .chain(members.iter().map(Vec::len))
        .take(n_layers)
}

/// Length of the file of a graph.
pub(super) fn n_bytes(n: usize, members: &[Vec<u32>]) -> usize {
    let lists = sizes(n, members).zip(std::iter::once(BASE).chain(std::iter::repeat(UPPER)));
    HEADER + lists.map(|(n, width)| 4 * n * width).sum::<usize>()
}

/// The lists of each layer, the lowest first.
pub(super) fn lists<'a>(
    bytes: &'a [u8],
    n: usize,
    members: &[Vec<u32>],
) -> impl Iterator<Item = &'a [u32]> {
    let mut start = HEADER;
    let lists = sizes(n, members).zip(std::iter::once(BASE).chain(std::iter::repeat(UPPER)));
    lists.map(move |(n, width)| {
        let range = start..start + 4 * n * width;
        start = range.end;
        bytemuck::cast_slice(&bytes[range])
    })
}

/// Compares everything with the checksum.
pub(super) fn verify(bytes: &[u8], path: &Path) -> Result<(), SearchError> {
    let head = Head::read(bytes, path)?;
    if head.header(crc32fast::hash(&bytes[HEADER..])) == bytes[..HEADER] {
        Ok(())
    } else {
        Err(SearchError::Damaged {
            path: path.to_owned(),
            what: "its checksum does not fit".to_owned(),
        })
    }
}

/// Writes a graph, synced to the disk.
pub(super) fn write(path: &Path, head: Head, lists: &[Vec<u32>]) -> std::io::Result<()> {
    let mut hasher = crc32fast::Hasher::new();
    for words in lists {
        hasher.update(bytemuck::cast_slice(words));
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&head.header(hasher.finalize()))?;
    for words in lists {
        out.write_all(bytemuck::cast_slice(words))?;
    }
    out.into_inner()?.sync_all()
}
