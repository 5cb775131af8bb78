//! The lines of a column: words on one baseline, with the raised and lowered signs that stand on them.

use super::words::Word;

/// Words on one baseline.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) words: Vec<Word>,
    pub(super) x0: f32,
    pub(super) x1: f32,
    pub(super) y: f32,
    /// Size of most of its characters.
    pub(super) size: f32,
}

/// A column of lines, from top to bottom.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    pub(super) lines: Vec<Line>,
    pub(super) x0: f32,
    pub(super) x1: f32,
}

/// Puts the words of a column into lines.
pub(super) fn column(words: Vec<Word>) -> Column {
    let mut lines = Vec::new();
    group(words, &mut lines);
    lines.sort_by(|a, b| a.y.total_cmp(&b.y));
    for line in &mut lines {
        finish(line);
    }
    let x0 = lines.iter().map(|line| line.x0).fold(f32::MAX, f32::min);
    let x1 = lines.iter().map(|line| line.x1).fold(f32::MIN, f32::max);
    Column { lines, x0, x1 }
}

/// Groups words of the common size or larger by baseline; smaller ones join a line that they overlap, as raised and
/// lowered signs do, and the rest of them are grouped in their turn.
fn group(mut words: Vec<Word>, lines: &mut Vec<Line>) {
    if words.is_empty() {
        return;
    }
    words.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x0.total_cmp(&b.x0)));
    let size = common_size(words.iter());
    let (large, small): (Vec<Word>, Vec<Word>) =
        words.into_iter().partition(|word| word.size >= 0.82 * size);
    let from = lines.len();
    for word in large {
        match lines[from..].last_mut() {
            Some(line) if (word.y - line.y).abs() < 0.4 * word.size.max(line.size) => {
                line.words.push(word);
            }
            _ => lines.push(Line {
                y: word.y,
                size: word.size,
                words: vec![word],
                ..Line::default()
            }),
        }
    }
    let mut rest = Vec::new();
    for word in small {
        match host(&mut lines[from..], &word) {
            Some(line) => line.words.push(word),
            None => rest.push(word),
        }
    }
    if lines.len() > from {
        group(rest, lines);
    } else {
        lines.extend(rest.into_iter().map(|word| Line {
            y: word.y,
            size: word.size,
            words: vec![word],
            ..Line::default()
        }));
    }
}

/// The line that a small word stands on, raised or lowered: among the lines around its height, one with a word near it.
fn host<'l>(lines: &'l mut [Line], word: &Word) -> Option<&'l mut Line> {
    let middle = word.y - 0.3 * word.size;
    let first = lines.partition_point(|line| line.y + 0.3 * line.size <= middle);
    lines[first..].iter_mut().take(3).find(|line| {
        let near = |other: &Word| {
            word.x0 - other.x1 < 2.0 * other.size && other.x0 - word.x1 < 2.0 * other.size
        };
        middle > line.y - 0.95 * line.size && line.words.iter().any(near)
    })
}

fn finish(line: &mut Line) {
    line.words.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    line.x0 = line
        .words
        .iter()
        .map(|word| word.x0)
        .fold(f32::MAX, f32::min);
    line.x1 = line
        .words
        .iter()
        .map(|word| word.x1)
        .fold(f32::MIN, f32::max);
    line.size = common_size(line.words.iter());
}

/// The size of most characters, to a tenth of a point.
pub(super) fn common_size<'w>(words: impl Iterator<Item = &'w Word>) -> f32 {
    let mut sizes = std::collections::BTreeMap::new();
    for word in words {
        *sizes
            .entry((word.size * 10.0).round() as i32)
            .or_insert(0_usize) += word.text.len();
    }
    sizes
        .iter()
        .max_by_key(|(size, count)| (**count, **size))
        .map_or(10.0, |(size, _)| *size as f32 / 10.0)
}
