//! Pictures to the patches that a vision tower takes: decode, resize, crop, scale, cut up.

use std::io::Cursor;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{ImageReader, Limits, RgbImage};
use serde::Deserialize;

use super::settings::{read_json, unusable};
use crate::error::EngineError;

/// Pixels of a side at most, as the picture comes and when its shorter side has been resized.
const MOST_SIDE: u32 = 1 << 14;
/// Bytes of memory that decoding a picture may take: a small file can say that it is very large.
const MOST_BYTES: u64 = 512 << 20;

/// How images become patches.
#[derive(Debug)]
pub(super) struct Pixels {
    /// Pixels of the shorter side after resizing.
    shortest: u32,
    /// Pixels of a side of the square that is cut out of the middle.
    side: u32,
    patch: u32,
    mean: [f32; 3],
    deviation: [f32; 3],
}

#[derive(Debug, Deserialize)]
struct Settings {
    #[serde(default)]
    size: Option<Size>,
    #[serde(default = "clip_mean")]
    image_mean: [f32; 3],
    #[serde(default = "clip_deviation")]
    image_std: [f32; 3],
}

/// A length, in the old files as a number and in the new ones with its meaning.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Number(u32),
    Shortest { shortest_edge: u32 },
    Sides { height: u32, width: u32 },
}

fn clip_mean() -> [f32; 3] {
    [0.481_454_66, 0.457_827_5, 0.408_210_73]
}

fn clip_deviation() -> [f32; 3] {
    [0.268_629_54, 0.261_302_6, 0.275_777_1]
}

impl Pixels {
    /// Reads `preprocessor_config.json` for a tower that takes squares of `side` pixels in patches of `patch`.
    pub(super) fn open(directory: &Path, side: usize, patch: usize) -> Result<Self, EngineError> {
        let file = directory.join("preprocessor_config.json");
        let settings: Settings = read_json(&file)?;
        let shortest = match settings.size {
            None => side as u32,
            Some(Size::Number(n) | Size::Shortest { shortest_edge: n }) => n,
            Some(Size::Sides { height, width }) => height.min(width),
        };
        if (shortest as usize) < side {
            let what = format!("{shortest} pixels are fewer than the {side} that the model takes");
            return Err(unusable(&file, "size", what));
        }
        Ok(Self {
            shortest,
            side: side as u32,
            patch: patch as u32,
            mean: settings.image_mean,
            deviation: settings.image_std,
        })
    }

    /// Patches of one image.
    pub(super) fn n_patches(&self) -> usize {
        let across = (self.side / self.patch) as usize;
        across * across
    }

    /// Appends the patches of a picture, given as the bytes of its file, row by row, each as 3 × patch × patch numbers. An
    /// error says what is wrong with the picture.
    pub(super) fn read(&self, file: &[u8], patches: &mut Vec<f32>) -> Result<(), String> {
        let mut reader = ImageReader::new(Cursor::new(file))
            .with_guessed_format()
            .map_err(|error| error.to_string())?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MOST_SIDE);
        limits.max_image_height = Some(MOST_SIDE);
        limits.max_alloc = Some(MOST_BYTES);
        reader.limits(limits);
        let image = reader.decode().map_err(|error| error.to_string())?;
        self.cut(&self.square(&image.into_rgb8())?, patches);
        Ok(())
    }

    /// Resizes the shorter side, cubic as in CLIP's own code, and takes the middle.
    fn square(&self, image: &RgbImage) -> Result<RgbImage, String> {
        let (width, height) = image.dimensions();
        let (short, long) = (width.min(height), width.max(height));
        let longer = u64::from(self.shortest) * u64::from(long) / u64::from(short.max(1));
        if longer > u64::from(MOST_SIDE) {
            return Err(format!(
                "with {width} × {height} pixels it is too long for its width"
            ));
        }
        let (width, height) = if width <= height {
            (self.shortest, longer as u32)
        } else {
            (longer as u32, self.shortest)
        };
        let resized = imageops::resize(image, width, height, FilterType::CatmullRom);
        let (left, top) = ((width - self.side) / 2, (height - self.side) / 2);
        Ok(imageops::crop_imm(&resized, left, top, self.side, self.side).to_image())
    }

    fn cut(&self, image: &RgbImage, patches: &mut Vec<f32>) {
        let across = self.side / self.patch;
        for row in 0..across {
            for column in 0..across {
                for channel in 0..3 {
                    let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
                    for y in row * self.patch..(row + 1) * self.patch {
                        for x in column * self.patch..(column + 1) * self.patch {
                            let value = f32::from(image.get_pixel(x, y)[channel]) / 255.0;
                            patches.push((value - mean) / deviation);
                        }
                    }
                }
            }
        }
    }
}
