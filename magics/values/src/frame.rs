//! Data frames as Arrow IPC files, replaced atomically.

use std::fs::File;
use std::path::Path;

use polars::prelude::{DataFrame, IpcReader, IpcWriter, SerReader, SerWriter};

use crate::ValueError;

/// Writes `frame` to `path` as an uncompressed Arrow IPC file; a reader sees the old file or the whole new one.
pub fn write_frame(path: &Path, frame: &mut DataFrame) -> Result<(), ValueError> {
    let unfinished = path.with_extension("unfinished");
    let file = File::create(&unfinished).map_err(|source| file_error(&unfinished, source))?;
    IpcWriter::new(file)
        .finish(frame)
        .map_err(|source| format_error(&unfinished, source))?;
    std::fs::rename(&unfinished, path).map_err(|source| file_error(path, source))
}

/// Reads the Arrow IPC file at `path`.
pub fn read_frame(path: &Path) -> Result<DataFrame, ValueError> {
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    IpcReader::new(file)
        .finish()
        .map_err(|source| format_error(path, source))
}

pub(crate) fn file_error(path: &Path, source: std::io::Error) -> ValueError {
    ValueError::File {
        path: path.to_owned(),
        source,
    }
}

pub(crate) fn format_error(path: &Path, source: polars::error::PolarsError) -> ValueError {
    ValueError::Format {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::df;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let dir = std::env::temp_dir().join(format!("mlk8s-frame-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("f.arrow");
        let mut frame = df!("a" => [1i64, 2], "b" => ["x", "ä"]).unwrap();
        write_frame(&path, &mut frame).unwrap();
        assert!(read_frame(&path).unwrap().equals(&frame));
        std::fs::write(&path, b"not arrow").unwrap();
        let error = read_frame(&path).unwrap_err().to_string();
        assert!(error.contains("is not a value of this kernel"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
