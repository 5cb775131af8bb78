//! The header of a GGUF file, read so that no number in it is believed before the file is known to be that long.
//!
//! candle's own reader divides by the alignment that the file names, and would end the process with a damaged file.

use std::collections::HashMap;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value, VersionedMagic};

/// Most levels of lists in lists.
const MAX_DEPTH: usize = 8;
/// Most dimensions of a tensor.
const MAX_DIMS: u32 = 4;

/// Reads metadata and tensor descriptions; the error says what is wrong.
pub(super) fn read(bytes: &[u8]) -> Result<Content, String> {
    let mut reader = Reader {
        bytes,
        at: 0,
        long: true,
    };
    if reader.take(4)? != b"GGUF" {
        return Err("it doesn't begin with `GGUF`".to_owned());
    }
    let magic = match reader.u32()? {
        1 => VersionedMagic::GgufV1,
        2 => VersionedMagic::GgufV2,
        3 => VersionedMagic::GgufV3,
        other => {
            return Err(format!(
                "its version is {other}, and versions 1 to 3 are known"
            ));
        }
    };
    reader.long = magic != VersionedMagic::GgufV1;
    let n_tensors = reader.length(16)?;
    let n_values = reader.length(9)?;
    let mut metadata = HashMap::new();
    for _ in 0..n_values {
        let key = reader.text()?;
        let kind = reader.u32()?;
        metadata.insert(key, reader.value(kind, 0)?);
    }
    let mut tensor_infos = HashMap::new();
    for _ in 0..n_tensors {
        let (name, info) = reader.tensor()?;
        tensor_infos.insert(name, info);
    }
    let alignment = match metadata.get("general.alignment") {
        Some(Value::U32(alignment)) if *alignment > 0 => u64::from(*alignment),
        None => 32,
        Some(other) => return Err(format!("its alignment is {other:?}")),
    };
    let tensor_data_offset = (reader.at as u64).next_multiple_of(alignment);
    Ok(Content {
        magic,
        metadata,
        tensor_infos,
        tensor_data_offset,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether lengths have eight bytes.
    long: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self
            .at
            .checked_add(n)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            format!(
                "it ends at byte {}, in the middle of its header",
                self.bytes.len()
            )
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of things, of which each takes at least `least` bytes of what is left.
    fn length(&mut self, least: usize) -> Result<usize, String> {
        let length = if self.long {
            self.u64()?
        } else {
            u64::from(self.u32()?)
        };
        let left = self.bytes.len() - self.at;
        let fits = usize::try_from(length)
            .ok()
            .filter(|length| *length <= left / least);
        fits.ok_or_else(|| {
            format!(
                "a list of {length} at byte {} doesn't fit into the {left} bytes left",
                self.at
            )
        })
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.length(1)?;
        let text = String::from_utf8_lossy(self.take(length)?);
        Ok(text.trim_end_matches('\0').to_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::U8(self.array::<1>()?[0]),
            1 => Value::I8(self.array().map(i8::from_le_bytes)?),
            2 => Value::U16(self.array().map(u16::from_le_bytes)?),
            3 => Value::I16(self.array().map(i16::from_le_bytes)?),
            4 => Value::U32(self.u32()?),
            5 => Value::I32(self.array().map(i32::from_le_bytes)?),
            6 => Value::F32(self.array().map(f32::from_le_bytes)?),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::String(self.text()?),
            9 if depth < MAX_DEPTH => {
                let kind = self.u32()?;
                let length = self.length(1)?;
                let mut values = Vec::new();
                for _ in 0..length {
                    values.push(self.value(kind, depth + 1)?);
                }
                Value::Array(values)
            }
            10 => Value::U64(self.u64()?),
            11 => Value::I64(self.array().map(i64::from_le_bytes)?),
            12 => Value::F64(self.array().map(f64::from_le_bytes)?),
            other => return Err(format!("a value at byte {} is of kind {other}", self.at)),
        })
    }

    fn tensor(&mut self) -> Result<(String, TensorInfo), String> {
        let name = self.text()?;
        let n_dims = self.u32()?;
        if n_dims > MAX_DIMS {
            return Err(format!("tensor `{name}` has {n_dims} dimensions"));
        }
        let mut dims = Vec::new();
        for _ in 0..n_dims {
            let dim = if self.long {
                self.u64()?
            } else {
                u64::from(self.u32()?)
            };
            dims.push(usize::try_from(dim).map_err(|error| format!("tensor `{name}`: {error}"))?);
        }
        dims.reverse();
        let number = self.u32()?;
        let ggml_dtype = dtype(number)
            .ok_or_else(|| format!("tensor `{name}` has type {number}, which is not supported"))?;
        let offset = self.u64()?;
        Ok((
            name,
            TensorInfo {
                ggml_dtype,
                shape: dims.into(),
                offset,
            },
        ))
    }
}

/// The type that ggml numbers so.
fn dtype(number: u32) -> Option<GgmlDType> {
    Some(match number {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}
