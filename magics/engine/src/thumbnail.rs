//! Small pictures of large ones.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, ImageReader};

use crate::error::EngineError;

/// The picture in the file `path`, at most `side` pixels wide and high, as a PNG file.
pub fn thumbnail(path: &Path, side: u32) -> Result<Vec<u8>, EngineError> {
    let wrong = |what: String| EngineError::Image {
        path: path.to_owned(),
        what,
    };
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = reader.map_err(|source| EngineError::File {
        path: path.to_owned(),
        source,
    })?;
    let small = reader
        .decode()
        .map_err(|error| wrong(error.to_string()))?
        .thumbnail(side, side);
    let mut out = Cursor::new(Vec::new());
    small
        .write_to(&mut out, ImageFormat::Png)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_becomes_small_and_a_text_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wide.png");
        image::RgbImage::new(400, 100).save(&path).unwrap();
        let small = image::load_from_memory(&thumbnail(&path, 80).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (80, 20));
        let text = dir.path().join("a.png");
        std::fs::write(&text, "no picture").unwrap();
        assert!(matches!(
            thumbnail(&text, 80),
            Err(EngineError::Image { .. })
        ));
        assert!(matches!(
            thumbnail(&dir.path().join("none"), 80),
            Err(EngineError::File { .. })
        ));
    }
}
