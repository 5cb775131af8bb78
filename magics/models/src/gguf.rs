//! The header of a GGUF file (versions 2 and 3): metadata and places of weights, none of them believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::error::ModelsError;
use crate::ggml::Stored;
use crate::safetensors::{Tensor, product};

/// The longest text that is kept; chat templates are the longest that matter.
const LONGEST_TEXT: u64 = 1 << 20;
/// Dimensions of a weight, as in `ggml.h`.
const DIMENSIONS: u32 = 4;
/// Arrays in arrays that are followed.
const DEPTH: usize = 4;

/// What a header says.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) tensors: Vec<Tensor>,
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// A text too long to be kept.
    LongText,
    /// An array, of which only the length and, where they are whole numbers, the largest is kept.
    Array {
        len: u64,
        most: Option<u64>,
    },
}

impl Header {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number; of an array of them (heads that differ between layers) the largest.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key)? {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => u64::try_from(*n).ok(),
            Value::Array { most, .. } => *most,
            _ => None,
        }
    }

    /// How long an array is.
    pub(crate) fn len(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key)? {
            Value::Array { len, .. } => Some(*len),
            _ => None,
        }
    }
}

/// Reads the whole header and checks that every weight lies inside the file.
pub(crate) fn read(path: &Path) -> Result<Header, ModelsError> {
    open(path)?
        .header()
        .map_err(|what| ModelsError::damaged(path, what))
}

/// Reads the header up to `general.architecture`, which writers put first.
pub(crate) fn architecture(path: &Path) -> Result<Option<String>, ModelsError> {
    let mut reader = open(path)?;
    let mut read = || -> Result<Option<String>, String> {
        let (_, n_pairs) = reader.counts()?;
        for _ in 0..n_pairs {
            let key = reader.name()?;
            if let Value::Text(text) = reader.value()?
                && key == "general.architecture"
            {
                return Ok(Some(text));
            }
        }
        Ok(None)
    };
    read().map_err(|what| ModelsError::damaged(path, what))
}

fn open(path: &Path) -> Result<Reader, ModelsError> {
    let failed = |source| ModelsError::file(path, source);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok(Reader {
        file: BufReader::with_capacity(1 << 16, file),
        at: 0,
        length,
    })
}

/// A reader that knows where it is and how much follows, so that no length is taken at its word.
struct Reader {
    file: BufReader<File>,
    at: u64,
    length: u64,
}

impl Reader {
    fn header(&mut self) -> Result<Header, String> {
        let (n_tensors, n_pairs) = self.counts()?;
        let mut metadata = BTreeMap::new();
        for _ in 0..n_pairs {
            let key = self.name()?;
            let value = self.value().map_err(|what| format!("`{key}`: {what}"))?;
            metadata.insert(key, value);
        }
        let mut tensors = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..n_tensors {
            let (tensor, start) = self.tensor()?;
            let end = start.checked_add(tensor.bytes);
            ends.push(end.ok_or_else(|| format!("weight `{}` lies at byte {start}", tensor.name))?);
            tensors.push(tensor);
        }
        let header = Header { metadata, tensors };
        let alignment = header.number("general.alignment").unwrap_or(32);
        if alignment == 0 || alignment > 1 << 20 {
            return Err(format!("`general.alignment` is {alignment}"));
        }
        let data = self.at.div_ceil(alignment) * alignment;
        let room = self.length.saturating_sub(data);
        let last = ends
            .iter()
            .zip(&header.tensors)
            .max_by_key(|(end, _)| **end);
        match last {
            Some((end, tensor)) if *end > room => Err(format!(
                "it is cut off: weight `{}` ends at byte {end} of the data, which has {room}",
                tensor.name
            )),
            _ => Ok(header),
        }
    }

    /// Magic and version, then how many weights and how many pairs of the metadata follow.
    fn counts(&mut self) -> Result<(u64, u64), String> {
        if self.array::<4>()? != *b"GGUF" {
            return Err("this is no GGUF file: it does not begin with `GGUF`".to_owned());
        }
        match self.u32()? {
            2 | 3 => {}
            1 => {
                return Err(
                    "GGUF version 1, which is no longer read; convert the model again".to_owned(),
                );
            }
            swapped if swapped.swap_bytes() <= 3 && swapped != 0 => {
                return Err(
                    "this GGUF file is for machines with the other order of bytes".to_owned(),
                );
            }
            version => return Err(format!("GGUF version {version}; 2 and 3 are read")),
        }
        let (n_tensors, n_pairs) = (self.u64()?, self.u64()?);
        // The shortest weight has 8 + 4 + 4 + 8 bytes, the shortest pair 8 + 4 + 1.
        for (what, n, least) in [
            ("weights", n_tensors, 24),
            ("pairs of metadata", n_pairs, 13),
        ] {
            if n > self.left() / least {
                return Err(format!(
                    "it should have {n} {what}, and has {} bytes",
                    self.length
                ));
            }
        }
        Ok((n_tensors, n_pairs))
    }

    fn tensor(&mut self) -> Result<(Tensor, u64), String> {
        let name = self.name()?;
        let n_dims = self.u32()?;
        if n_dims > DIMENSIONS {
            return Err(format!("weight `{name}` has {n_dims} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..n_dims {
            shape.push(self.u64()?);
        }
        // The fastest dimension comes first here, and last everywhere else.
        shape.reverse();
        let number = self.u32()?;
        let stored = Stored::of_ggml(number)
            .ok_or_else(|| format!("weight `{name}` has type {number}, which is not known"))?;
        let start = self.u64()?;
        let n_parameters = product(&shape);
        let bytes = n_parameters.and_then(|n| stored.bytes_of(n));
        let (Some(n_parameters), Some(bytes)) = (n_parameters, bytes) else {
            return Err(format!(
                "weight `{name}` has shape {shape:?}, which type {} cannot have",
                stored.name
            ));
        };
        let tensor = Tensor {
            name,
            stored,
            shape,
            n_parameters,
            bytes,
        };
        Ok((tensor, start))
    }

    /// A value with its type before it.
    fn value(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        self.value_of(kind, DEPTH)
    }

    fn value_of(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Unsigned(self.array::<1>()?[0].into()),
            1 => Value::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => self.text()?,
            9 => self.list(depth)?,
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            kind => return Err(format!("a value has type {kind}, which is not known")),
        })
    }

    /// An array, whose elements are read and forgotten.
    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let kind = self.u32()?;
        let len = self.u64()?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            kind => return Err(format!("an array has type {kind}, which is not known")),
        };
        if len > self.left() / least {
            return Err(format!(
                "an array should have {len} elements, and {} bytes follow",
                self.left()
            ));
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err("arrays in arrays in arrays".to_owned());
        };
        if matches!(kind, 6 | 7 | 12) {
            self.skip(len * least)?;
            return Ok(Value::Array { len, most: None });
        }
        let mut most = None;
        for _ in 0..len {
            if kind == 8 {
                let bytes = self.u64()?;
                self.skip(bytes)?;
                continue;
            }
            if let Value::Unsigned(n) = unsigned(self.value_of(kind, depth)?) {
                most = most.max(Some(n));
            }
        }
        Ok(Value::Array { len, most })
    }

    fn text(&mut self) -> Result<Value, String> {
        let len = self.u64()?;
        if len > LONGEST_TEXT {
            self.skip(len)?;
            return Ok(Value::LongText);
        }
        let bytes = self.bytes(len)?;
        Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A text that must be short.
    fn name(&mut self) -> Result<String, String> {
        let len = self.u64()?;
        if len > 65_535 {
            return Err(format!("a name has {len} bytes"));
        }
        let bytes = self.bytes(len)?;
        String::from_utf8(bytes).map_err(|_| "a name is no text".to_owned())
    }

    fn bytes(&mut self, len: u64) -> Result<Vec<u8>, String> {
        if len > self.left() {
            return Err(self.cut_off());
        }
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, len: u64) -> Result<(), String> {
        if len > self.left() {
            return Err(self.cut_off());
        }
        self.at += len;
        // Within the buffer this moves no file.
        let moved = match i64::try_from(len) {
            Ok(len) => self.file.seek_relative(len),
            Err(_) => self.file.seek(SeekFrom::Start(self.at)).map(|_| ()),
        };
        moved.map_err(|error| error.to_string())
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.file
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => self.cut_off(),
                _ => error.to_string(),
            })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    fn cut_off(&self) -> String {
        format!(
            "it is cut off, or no GGUF file: its {} bytes end inside the header",
            self.length
        )
    }
}

/// Signed numbers that are not negative, as unsigned ones.
fn unsigned(value: Value) -> Value {
    match value {
        Value::Signed(n) => u64::try_from(n).map_or(Value::Signed(n), Value::Unsigned),
        value => value,
    }
}
