//! The tagger's weights: a compact file, and the table it becomes in memory.

use thiserror::Error;

use crate::features::KEY_BITS;
use crate::range_coder::{Decoder, Encoder, Numbers};
use crate::tag::N_CLASSES;

/// What the file starts with; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"MLK8STG1";
/// Weights are whole numbers from `-(1 << (WEIGHT_BITS - 1))` on.
pub(crate) const WEIGHT_BITS: u32 = 6;
/// Bits that tell how many bits the distance to the next key has.
const WIDTH_BITS: u32 = 5;

/// Why a model file was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// The bytes do not start as a model of this version does.
    #[error("not a tagger model of this version")]
    Format,
    /// The counts in the file do not fit what follows.
    #[error("broken tagger model: {0}")]
    Broken(&'static str),
}

/// One feature's weights: class and weight.
pub(crate) type Row = Vec<(u8, i8)>;

/// What is stored: both lists sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Weights {
    /// Word key → the classes it was seen with
    pub(crate) lexicon: Vec<(u32, u32)>,
    /// Feature key → weights, classes ascending
    pub(crate) rows: Vec<(u32, Row)>,
}

struct Contexts {
    width: Numbers,
    count: Numbers,
    class: Vec<Numbers>,
    weight: Vec<Numbers>,
}

impl Contexts {
    fn new() -> Self {
        Self {
            width: Numbers::below(WIDTH_BITS),
            count: Numbers::below(5),
            class: vec![Numbers::below(5); N_CLASSES + 1],
            weight: vec![Numbers::below(WEIGHT_BITS); N_CLASSES],
        }
    }
}

impl Weights {
    /// The file: range-coded distances between keys, classes and weights.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((self.lexicon.len() as u32).to_le_bytes());
        bytes.extend((self.rows.len() as u32).to_le_bytes());
        let mut encoder = Encoder::new();
        let mut contexts = Contexts::new();
        let mut last = 0;
        for &(key, classes) in &self.lexicon {
            write_distance(&mut encoder, &mut contexts.width, key - last);
            last = key;
            let row: Vec<u8> = (0..N_CLASSES as u8)
                .filter(|class| classes >> class & 1 == 1)
                .collect();
            encoder.number(row.len() as u32, &mut contexts.count);
            write_classes(&mut encoder, &mut contexts.class, row.into_iter());
        }
        let mut contexts = Contexts::new();
        last = 0;
        for (key, row) in &self.rows {
            write_distance(&mut encoder, &mut contexts.width, key - last);
            last = *key;
            encoder.number(row.len() as u32, &mut contexts.count);
            write_classes(
                &mut encoder,
                &mut contexts.class,
                row.iter().map(|&(class, _)| class),
            );
            for &(class, weight) in row {
                let value = (i32::from(weight) + (1 << (WEIGHT_BITS - 1))) as u32;
                encoder.number(value, &mut contexts.weight[usize::from(class)]);
            }
        }
        bytes.extend(encoder.finish());
        bytes
    }

    /// Reads the file back.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ModelError::Format)?;
        let (counts, rest) = rest.split_at_checked(8).ok_or(ModelError::Format)?;
        let count = |at: usize| {
            u32::from_le_bytes([counts[at], counts[at + 1], counts[at + 2], counts[at + 3]])
        };
        let (n_words, n_rows) = (count(0), count(4));
        if n_words.max(n_rows) > 1 << KEY_BITS {
            return Err(ModelError::Broken("more keys than there can be"));
        }
        let mut decoder = Decoder::new(rest);
        let mut weights = Self::default();
        let mut contexts = Contexts::new();
        let mut last = 0;
        for _ in 0..n_words {
            last = read_key(&mut decoder, &mut contexts.width, last)?;
            let classes = read_classes(&mut decoder, &mut contexts)?;
            weights.lexicon.push((
                last,
                classes.iter().fold(0, |mask, class| mask | 1 << class),
            ));
        }
        let mut contexts = Contexts::new();
        last = 0;
        for _ in 0..n_rows {
            last = read_key(&mut decoder, &mut contexts.width, last)?;
            let classes = read_classes(&mut decoder, &mut contexts)?;
            let mut weight = |class: u8| {
                decoder
                    .number(&mut contexts.weight[usize::from(class)])
                    .cast_signed()
                    - (1 << (WEIGHT_BITS - 1))
            };
            weights.rows.push((
                last,
                classes
                    .into_iter()
                    .map(|class| (class, weight(class) as i8))
                    .collect(),
            ));
        }
        Ok(weights)
    }
}

fn write_distance(encoder: &mut Encoder, width: &mut Numbers, distance: u32) {
    let bits = u32::BITS - distance.leading_zeros();
    encoder.number(bits, width);
    if bits > 1 {
        encoder.plain(distance & ((1 << (bits - 1)) - 1), bits - 1);
    }
}

fn read_key(decoder: &mut Decoder, width: &mut Numbers, last: u32) -> Result<u32, ModelError> {
    let bits = decoder.number(width);
    let distance = match bits {
        0 => 0,
        1 => 1,
        2..=KEY_BITS => 1 << (bits - 1) | decoder.plain(bits - 1),
        _ => return Err(ModelError::Broken("a distance that is too great")),
    };
    Some(last + distance)
        .filter(|key| key >> KEY_BITS == 0)
        .ok_or(ModelError::Broken("a key that is too great"))
}

fn write_classes(
    encoder: &mut Encoder,
    numbers: &mut [Numbers],
    classes: impl Iterator<Item = u8>,
) {
    let mut last = 0;
    for class in classes {
        encoder.number(u32::from(class), &mut numbers[last]);
        last = usize::from(class) + 1;
    }
}

fn read_classes(decoder: &mut Decoder, contexts: &mut Contexts) -> Result<Vec<u8>, ModelError> {
    let n = decoder.number(&mut contexts.count);
    let mut last = 0;
    let mut classes = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let class = decoder.number(&mut contexts.class[last]);
        if class as usize >= N_CLASSES {
            return Err(ModelError::Broken("a class there is not"));
        }
        last = class as usize + 1;
        classes.push(class as u8);
    }
    Ok(classes)
}

/// A power of two above the number of classes, so that an index needs no check.
pub(crate) const N_SCORES: usize = 32;

/// One score for each class; those beyond stay 0.
pub(crate) type Scores = [i32; N_SCORES];

const _: () = assert!(N_CLASSES <= N_SCORES);

/// Weights laid out for tagging: open addressing over keys, rows one after another.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    lexicon: Table,
    features: Table,
    /// Class in the upper byte, weight in the lower
    weights: Vec<u16>,
}

impl Model {
    pub(crate) fn new(stored: &Weights) -> Self {
        let lexicon = Table::new(stored.lexicon.iter().map(|&(key, classes)| (key, classes)));
        let mut weights = Vec::with_capacity(stored.rows.iter().map(|(_, row)| row.len()).sum());
        let features =
            Table::new(stored.rows.iter().map(|(key, row)| {
                let start = weights.len() as u32;
                weights.extend(row.iter().map(|&(class, weight)| {
                    u16::from(class) << 8 | u16::from(weight.cast_unsigned())
                }));
                (*key, start << 5 | row.len() as u32)
            }));
        Self {
            lexicon,
            features,
            weights,
        }
    }

    /// The classes the word with this key was seen with, as bits; 0 for a word that was not seen.
    pub(crate) fn lexicon(&self, key: u32) -> u32 {
        self.lexicon.get(key).unwrap_or(0)
    }

    /// Adds the weights of one feature.
    pub(crate) fn add(&self, key: u32, scores: &mut Scores) {
        if let Some(place) = self.features.get(key) {
            let start = (place >> 5) as usize;
            for &entry in &self.weights[start..start + (place & 31) as usize] {
                scores[usize::from(entry >> 8) % N_SCORES] +=
                    i32::from((entry as u8).cast_signed());
            }
        }
    }
}

/// Keys of [`KEY_BITS`] bits to 32-bit values.
#[derive(Debug, Clone)]
struct Table {
    /// Value in the upper half, key + 1 in the lower; 0 where empty
    slots: Vec<u64>,
    mask: usize,
}

impl Table {
    fn new(entries: impl ExactSizeIterator<Item = (u32, u32)>) -> Self {
        let size = (entries.len() * 4 / 3 + 1).next_power_of_two();
        let mut table = Self {
            slots: vec![0; size],
            mask: size - 1,
        };
        for (key, value) in entries {
            let mut at = key as usize & table.mask;
            while table.slots[at] != 0 {
                at = (at + 1) & table.mask;
            }
            table.slots[at] = u64::from(value) << 32 | u64::from(key + 1);
        }
        table
    }

    fn get(&self, key: u32) -> Option<u32> {
        let mut at = key as usize & self.mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot as u32 == key + 1 {
                return Some((slot >> 32) as u32);
            }
            at = (at + 1) & self.mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        Weights {
            lexicon: vec![(3, 0b101), (900, 1)],
            rows: vec![(0, vec![(0, -7), (19, 31)]), (77_777, vec![(4, 1)])],
        }
    }

    #[test]
    fn a_file_comes_back() {
        assert_eq!(Weights::from_bytes(&weights().to_bytes()), Ok(weights()));
    }

    #[test]
    fn keys_are_found_and_others_are_not() {
        let model = Model::new(&weights());
        assert_eq!([model.lexicon(3), model.lexicon(4)], [0b101, 0]);
        let mut scores = [0; N_SCORES];
        for key in [0, 1, 77_777] {
            model.add(key, &mut scores);
        }
        assert_eq!([scores[0], scores[4], scores[19]], [-7, 1, 31]);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Weights::from_bytes(b"PNG"), Err(ModelError::Format));
        let mut bytes = weights().to_bytes();
        bytes[12..16].fill(0xff);
        assert_eq!(
            Weights::from_bytes(&bytes),
            Err(ModelError::Broken("more keys than there can be"))
        );
        let cut: Vec<u8> = weights().to_bytes()[..16].to_vec();
        assert!(
            Weights::from_bytes(&cut).is_ok_and(|broken| broken != weights())
                || Weights::from_bytes(&cut).is_err()
        );
    }
}
