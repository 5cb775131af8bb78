//! A place for each word: along a spiral from the middle, where nothing stands yet.

/// Smallest and largest size of a word, as a share of the height of the plane.
const SIZES: (f32, f32) = (0.026, 0.15);
/// Share of the plane that the words' boxes may fill; more than this a spiral does not place.
const FILLED: f32 = 0.5;
/// Free space around a word, as a share of its size.
const SPACE: f32 = 0.12;
/// Height of a word's box, as a share of its size: ascenders and descenders.
const TALL: f32 = 1.15;
/// Turns of the spiral from the middle to the corner.
const TURNS: f32 = 60.0;
/// Steps along the spiral.
const STEPS: usize = 6_000;

/// A word on the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedWord {
    /// The word or phrase.
    pub text: String,
    /// Horizontal middle.
    pub x: f32,
    /// Vertical middle.
    pub y: f32,
    /// Font size.
    pub size: f32,
    /// Width that was kept free for it.
    pub width: f32,
    /// Height that was kept free for it.
    pub height: f32,
}

/// Places words, heaviest first, on a plane of `width` × `height`; sizes go by the square root of the weights.
///
/// Words that find no place are left out. Widths are estimated for a sans-serif face, a little generously.
pub fn place(words: &[(String, f32)], width: f32, height: f32) -> Vec<PlacedWord> {
    let heaviest = words.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
    if heaviest <= 0.0 || width <= 0.0 || height <= 0.0 {
        return Vec::new();
    }
    let sized = |(text, weight): &(String, f32), scale: f32| {
        let share = (weight / heaviest).max(0.0).sqrt();
        let wanted = scale * height * (SIZES.0 + (SIZES.1 - SIZES.0) * share);
        // The heaviest phrase may be longer than the plane is wide.
        let size = wanted.min(0.9 * width / text_width(text, 1.0).max(0.1));
        (size, text_width(text, size) + SPACE * size, TALL * size)
    };
    let area: f32 = words
        .iter()
        .map(|word| sized(word, 1.0))
        .map(|(_, w, h)| w * h)
        .sum();
    let scale = (FILLED * width * height / area).sqrt().min(1.0);
    let mut placed: Vec<PlacedWord> = Vec::with_capacity(words.len());
    for word in words {
        let (size, w, h) = sized(word, scale);
        let text = &word.0;
        if let Some((x, y)) =
            spiral(width, height).find(|&(x, y)| free(x, y, w, h, width, height, &placed))
        {
            placed.push(PlacedWord {
                text: text.clone(),
                x,
                y,
                size,
                width: w,
                height: h,
            });
        }
    }
    placed
}

/// Points from the middle outwards, ever wider in the proportions of the plane.
fn spiral(width: f32, height: f32) -> impl Iterator<Item = (f32, f32)> {
    (0..STEPS).map(move |step| {
        // The square root makes the points equally dense everywhere.
        let out = (step as f32 / STEPS as f32).sqrt();
        let angle = out * TURNS * std::f32::consts::TAU;
        let far = out * std::f32::consts::FRAC_1_SQRT_2;
        (
            width * (0.5 + far * angle.cos()),
            height * (0.5 + far * angle.sin()),
        )
    })
}

fn free(x: f32, y: f32, w: f32, h: f32, width: f32, height: f32, placed: &[PlacedWord]) -> bool {
    let inside =
        x - w / 2.0 >= 0.0 && x + w / 2.0 <= width && y - h / 2.0 >= 0.0 && y + h / 2.0 <= height;
    let apart = |other: &PlacedWord| {
        (x - other.x).abs() * 2.0 >= w + other.width
            || (y - other.y).abs() * 2.0 >= h + other.height
    };
    inside && placed.iter().all(apart)
}

/// Width of a text, from the usual widths of letters in sans-serif faces such as Helvetica or `DejaVu Sans`.
fn text_width(text: &str, size: f32) -> f32 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | '\'' | '|' | '!' | ':' | ';' => 0.32,
        'f' | 'r' | 't' | ' ' | '-' | '(' | ')' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.96,
        c if c.is_uppercase() || c.is_ascii_digit() => 0.72,
        c if c.is_ascii() => 0.62,
        // Wide scripts take a full square.
        c if u32::from(c) >= 0x1100 => 1.05,
        _ => 0.66,
    };
    text.chars().map(em).sum::<f32>() * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_words_overlap_and_all_are_inside() {
        let words: Vec<(String, f32)> = (0..90)
            .map(|i| (format!("word number {}", i * i), 100.0 / (i + 1) as f32))
            .collect();
        let placed = place(&words, 900.0, 460.0);
        assert!(placed.len() > 70, "{}", placed.len());
        for (i, a) in placed.iter().enumerate() {
            assert!(a.x - a.width / 2.0 >= 0.0 && a.x + a.width / 2.0 <= 900.0);
            assert!(a.y - a.height / 2.0 >= 0.0 && a.y + a.height / 2.0 <= 460.0);
            for b in &placed[..i] {
                let apart = (a.x - b.x).abs() * 2.0 >= a.width + b.width
                    || (a.y - b.y).abs() * 2.0 >= a.height + b.height;
                assert!(apart, "{} {}", a.text, b.text);
            }
        }
        assert_eq!((placed[0].x, placed[0].y), (450.0, 230.0));
    }

    #[test]
    fn nothing_is_placed_nowhere() {
        assert!(place(&[], 10.0, 10.0).is_empty());
        assert!(place(&[("a".to_owned(), 0.0)], 10.0, 10.0).is_empty());
        assert!(place(&[("a".to_owned(), 1.0)], 0.0, 10.0).is_empty());
    }
}
