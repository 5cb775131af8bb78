//! The header of a safetensors file: names, types, shapes and places of weights, none of them believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::ModelsError;
use crate::ggml::Stored;

/// The longest header, as the format's own library has it.
const LONGEST: u64 = 100_000_000;

/// One weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) stored: Stored,
    pub(crate) shape: Vec<u64>,
    pub(crate) n_parameters: u64,
    pub(crate) bytes: u64,
}

#[derive(Deserialize)]
struct Header {
    /// Free words of whoever wrote the file.
    #[serde(rename = "__metadata__")]
    _words: Option<IgnoredAny>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Reads the header and checks that the file has every weight, no more and no less.
pub(crate) fn read(path: &Path) -> Result<Vec<Tensor>, ModelsError> {
    let failed = |source| ModelsError::file(path, source);
    let damaged = |what: String| ModelsError::damaged(path, what);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut size = [0; 8];
    if length < 8 {
        return Err(damaged(format!(
            "it has {length} bytes, too few for a header"
        )));
    }
    file.read_exact(&mut size).map_err(failed)?;
    let size = u64::from_le_bytes(size);
    let room = length - 8;
    if size > room || size > LONGEST {
        let what = "this is no safetensors file, or only its beginning";
        return Err(damaged(format!(
            "its header should have {size} bytes and {room} follow: {what}"
        )));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(failed)?;
    parse(&header, room - size).map_err(damaged)
}

fn parse(header: &[u8], room: u64) -> Result<Vec<Tensor>, String> {
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| format!("its header cannot be read: {error}"))?;
    let mut placed = Vec::new();
    for (name, entry) in &header.tensors {
        let (tensor, start) = checked(name, entry)?;
        placed.push((start, tensor));
    }
    placed.sort_by_key(|(start, tensor)| (*start, tensor.bytes));
    let mut end = 0;
    for (start, tensor) in &placed {
        if *start != end {
            return Err(format!(
                "weight `{}` begins at byte {start} of the data, and the one before ends at {end}",
                tensor.name
            ));
        }
        end = start
            .checked_add(tensor.bytes)
            .ok_or_else(|| format!("weight `{}` has no end", tensor.name))?;
    }
    if end > room {
        return Err(format!(
            "it is cut off: its weights have {end} bytes, and {room} are there"
        ));
    }
    if end < room {
        return Err(format!("{} bytes follow the last weight", room - end));
    }
    Ok(placed.into_iter().map(|(_, tensor)| tensor).collect())
}

fn checked(name: &str, entry: &Entry) -> Result<(Tensor, u64), String> {
    let stored = Stored::of_safetensors(&entry.dtype).ok_or_else(|| {
        format!(
            "weight `{name}` has type `{}`, which is not known",
            entry.dtype
        )
    })?;
    let n_parameters = product(&entry.shape);
    let wanted = n_parameters.and_then(|n| stored.bytes_of(n));
    let (start, end) = entry.data_offsets;
    let bytes = end.checked_sub(start);
    match (wanted, bytes, n_parameters) {
        (Some(wanted), Some(bytes), Some(n_parameters)) if wanted == bytes => Ok((
            Tensor {
                name: name.to_owned(),
                stored,
                shape: entry.shape.clone(),
                n_parameters,
                bytes,
            },
            start,
        )),
        _ => Err(format!(
            "weight `{name}` of type {} and shape {:?} is said to lie at bytes {start} to {end}",
            stored.name, entry.shape
        )),
    }
}

/// How many numbers a shape has; none when they are too many to count.
pub(crate) fn product(shape: &[u64]) -> Option<u64> {
    shape
        .iter()
        .try_fold(1_u64, |product, n| product.checked_mul(*n))
}
