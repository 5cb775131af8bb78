//! From glyphs to words: gaps end a word, raised and lowered signs stand against it, TeX's accents join their letters.

use unicode_normalization::char::compose;

use super::fonts::Style;
use super::glyphs::{Glyph, UNKNOWN};

/// A word on a page.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) x0: f32,
    pub(super) x1: f32,
    /// The baseline, downwards.
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) style: Style,
    /// Characters of formulas.
    pub(super) n_math: usize,
    /// True for a word that stands against the one before it without a blank.
    pub(super) joined: bool,
    pub(super) upright: bool,
}

impl Word {
    pub(super) fn top(&self) -> f32 {
        self.y - 0.75 * self.size
    }

    pub(super) fn bottom(&self) -> f32 {
        self.y + 0.22 * self.size
    }
}

/// Puts glyphs together to words: a new one starts after a gap, a blank or a change of line or size.
pub(super) fn words(glyphs: &[Glyph]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut last: Option<Glyph> = None;
    let mut blank = true;
    for glyph in glyphs {
        if glyph.c.is_whitespace() || glyph.c == '\0' {
            blank = true;
            continue;
        }
        let follows = last
            .as_ref()
            .map_or(Follows::Apart, |last| follows(last, glyph));
        if follows == Follows::Twice {
            continue;
        }
        match words.last_mut() {
            Some(word) if follows == Follows::Inside && !blank => extend(word, glyph),
            _ => words.push(start(glyph, follows == Follows::Touching && !blank)),
        }
        last = Some(*glyph);
        blank = false;
    }
    words
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// In the same word.
    Inside,
    /// Without a blank, but raised, lowered or of another size.
    Touching,
    Apart,
    /// The same glyph once more, as programs do for bold.
    Twice,
}

fn follows(last: &Glyph, glyph: &Glyph) -> Follows {
    let size = last.size.max(glyph.size).max(0.1);
    let (gap, shift) = (glyph.x0 - last.x1, (glyph.y - last.y).abs());
    if last.upright != glyph.upright {
        return Follows::Apart;
    }
    if !glyph.upright {
        // Turned text: the line runs along y, so that only near glyphs are put together.
        return if (glyph.x0 - last.x0).abs() < 0.3 * size && shift < 1.2 * size {
            Follows::Inside
        } else {
            Follows::Apart
        };
    }
    if glyph.c == last.c && (glyph.x0 - last.x0).abs() < 0.12 * size && shift < 0.12 * size {
        return Follows::Twice;
    }
    if accent(last.c).is_some()
        && glyph.c.is_alphabetic()
        && glyph.x0 < last.x1
        && shift < 0.5 * size
    {
        return Follows::Inside;
    }
    if !(-0.35..0.16).contains(&(gap / size)) {
        return Follows::Apart;
    }
    if shift < 0.08 * size && (glyph.size / last.size - 1.0).abs() < 0.12 {
        return Follows::Inside;
    }
    // Small capitals and accents stand on the same line.
    if shift < 0.04 * size && glyph.size / last.size > 0.7 && glyph.size / last.size < 1.45 {
        return Follows::Inside;
    }
    if shift < 0.6 * size {
        Follows::Touching
    } else {
        Follows::Apart
    }
}

fn start(glyph: &Glyph, joined: bool) -> Word {
    let mut word = Word {
        text: String::new(),
        x0: glyph.x0,
        x1: glyph.x0,
        y: glyph.y,
        size: glyph.size,
        style: glyph.style,
        n_math: 0,
        joined,
        upright: glyph.upright,
    };
    extend(&mut word, glyph);
    word
}

fn extend(word: &mut Word, glyph: &Glyph) {
    add_character(&mut word.text, glyph.c);
    word.n_math += usize::from(glyph.style.math || glyph.c == UNKNOWN);
    word.x0 = word.x0.min(glyph.x0);
    word.x1 = word.x1.max(glyph.x1);
    word.size = word.size.max(glyph.size);
}

/// Adds a character; TeX sets an accent as a glyph of its own before the letter, which is put together here.
fn add_character(text: &mut String, c: char) {
    let before = text.chars().next_back();
    if let Some(mark) = before.and_then(accent)
        && c.is_alphabetic()
        && let Some(whole) = compose(if c == 'ı' { 'i' } else { c }, mark)
    {
        text.pop();
        text.push(whole);
    } else {
        text.push(c);
    }
}

/// The combining mark for an accent that stands alone.
fn accent(c: char) -> Option<char> {
    Some(match c {
        '´' | 'ˊ' => '\u{301}',
        '`' | 'ˋ' => '\u{300}',
        '¨' => '\u{308}',
        'ˆ' => '\u{302}',
        '˜' => '\u{303}',
        'ˇ' => '\u{30c}',
        '¯' | 'ˉ' => '\u{304}',
        '˚' => '\u{30a}',
        '˘' => '\u{306}',
        '˝' => '\u{30b}',
        '˙' => '\u{307}',
        '¸' => '\u{327}',
        _ => return None,
    })
}
