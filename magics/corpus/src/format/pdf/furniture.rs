//! Running heads and page numbers: rows at the edges of the pages that come back, or that count the pages.

use std::collections::{BTreeMap, BTreeSet};

use super::words::Word;
use crate::clean::Role;

/// A page as words.
#[derive(Debug)]
pub(super) struct PageWords {
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) words: Vec<Word>,
}

/// A row that is not part of the text.
#[derive(Debug)]
pub(super) struct Furniture {
    pub(super) text: String,
    pub(super) role: Role,
}

/// A row near the upper or lower edge of a page.
struct Row {
    page: usize,
    top: bool,
    /// 0 for the outermost row.
    rank: usize,
    y: f32,
    /// True when more white than between lines sets it off from the text.
    apart: bool,
    text: String,
    words: Vec<usize>,
}

/// How many rows from each edge are looked at.
const DEPTH: usize = 3;

/// Takes running heads, page numbers and turned text out of the pages; one list of furniture a page.
pub(super) fn take(pages: &mut [PageWords]) -> Vec<Vec<Furniture>> {
    let rows: Vec<Row> = pages
        .iter()
        .enumerate()
        .flat_map(|(index, page)| edges(index, page))
        .collect();
    let repeated = repeated(&rows);
    let counting = counting(&rows);
    let mut found: Vec<Vec<Furniture>> = pages.iter().map(|_| Vec::new()).collect();
    let mut gone: Vec<BTreeSet<usize>> = pages.iter().map(|_| BTreeSet::new()).collect();
    for (index, row) in rows.iter().enumerate() {
        let number = is_page_number(&row.text) && row.rank == 0 && row.apart;
        if !(number || repeated.contains(&index) || counting.contains(&index))
            || !gone[row.page].is_disjoint(&row.words.iter().copied().collect())
        {
            continue;
        }
        let role = if number {
            Role::PageNumber
        } else {
            Role::RunningHead
        };
        found[row.page].push(Furniture {
            text: row.text.clone(),
            role,
        });
        gone[row.page].extend(&row.words);
    }
    for ((page, gone), found) in pages.iter_mut().zip(gone).zip(&mut found) {
        turned(page, found);
        let mut index = 0;
        page.words.retain(|word| {
            index += 1;
            word.upright && !gone.contains(&(index - 1))
        });
    }
    found
}

/// Turned text: a stamp in the margin, or labels of a figure.
fn turned(page: &PageWords, found: &mut Vec<Furniture>) {
    let (margin, inside): (Vec<&Word>, Vec<&Word>) = page
        .words
        .iter()
        .filter(|word| !word.upright)
        .partition(|word| word.x0 < 0.1 * page.width || word.x0 > 0.9 * page.width);
    for (words, role) in [(margin, Role::RunningHead), (inside, Role::Cells)] {
        if !words.is_empty() {
            let text = words
                .iter()
                .map(|word| word.text.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            found.push(Furniture { text, role });
        }
    }
}

/// The outermost rows of a page.
fn edges(index: usize, page: &PageWords) -> Vec<Row> {
    let mut order: Vec<usize> = (0..page.words.len())
        .filter(|word| page.words[*word].upright)
        .collect();
    order.sort_by(|a, b| page.words[*a].y.total_cmp(&page.words[*b].y));
    let mut rows: Vec<(f32, Vec<usize>)> = Vec::new();
    for word in order {
        let y = page.words[word].y;
        match rows.last_mut() {
            Some((row, words)) if y - *row < 3.0 => words.push(word),
            _ => rows.push((y, vec![word])),
        }
    }
    let n_rows = rows.len();
    let heights: Vec<f32> = rows.iter().map(|(y, _)| *y).collect();
    let mut edges = Vec::new();
    for (rank, (y, mut words)) in rows.into_iter().enumerate() {
        let top = rank < DEPTH && y < 0.16 * page.height;
        let bottom = n_rows - 1 - rank < DEPTH && y > 0.84 * page.height;
        if !top && !bottom {
            continue;
        }
        words.sort_by(|a, b| page.words[*a].x0.total_cmp(&page.words[*b].x0));
        let text = words
            .iter()
            .map(|word| page.words[*word].text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let inward = if top {
            heights.get(rank + 1)
        } else {
            rank.checked_sub(1).map(|above| &heights[above])
        };
        let size = words
            .iter()
            .map(|word| page.words[*word].size)
            .fold(0.0, f32::max);
        let apart = inward.is_none_or(|next| (next - y).abs() > 1.6 * size);
        let rank = if top { rank } else { n_rows - 1 - rank };
        edges.push(Row {
            page: index,
            top,
            rank,
            y,
            apart,
            text,
            words,
        });
    }
    edges
}

/// Rows that stand at the same height of two pages with the same words, digits apart.
fn repeated(rows: &[Row]) -> BTreeSet<usize> {
    let mut places: BTreeMap<(bool, String), Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let key: String = row
            .text
            .chars()
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .collect();
        places.entry((row.top, key)).or_default().push(index);
    }
    let mut repeated = BTreeSet::new();
    for same in places.values() {
        for pair in same.windows(2) {
            let (a, b) = (&rows[pair[0]], &rows[pair[1]]);
            if a.page != b.page && (a.y - b.y).abs() < 4.0 {
                repeated.extend(pair);
            }
        }
    }
    repeated
}

/// Outermost rows that begin or end with a number that grows with the pages.
fn counting(rows: &[Row]) -> BTreeSet<usize> {
    let mut offsets: BTreeMap<(bool, i64), Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.rank == 0) {
        let numbers = [row.text.split(' ').next(), row.text.split(' ').next_back()]
            .into_iter()
            .flatten();
        let offset: BTreeSet<i64> = numbers
            .filter_map(|word| word.parse::<i64>().ok())
            .map(|number| number - i64::try_from(row.page).unwrap_or(0))
            .collect();
        for offset in offset {
            offsets.entry((row.top, offset)).or_default().push(index);
        }
    }
    offsets
        .into_values()
        .filter(|same| same.len() >= 2)
        .flatten()
        .collect()
}

/// `7`, `– 7 –`, `Page 7 of 9`, `vii`.
fn is_page_number(text: &str) -> bool {
    let core = text.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '-' | '–' | '—' | '|' | '[' | ']')
    });
    let lower = core.to_lowercase();
    let core = lower
        .strip_prefix("page")
        .or(lower.strip_prefix("p."))
        .unwrap_or(&lower)
        .trim();
    let (number, of) = core
        .split_once(" of ")
        .or(core.split_once('/'))
        .unwrap_or((core, "1"));
    let digits = |text: &str| {
        (1..=4).contains(&text.trim().len()) && text.trim().chars().all(|c| c.is_ascii_digit())
    };
    let roman = (1..=6).contains(&number.len())
        && number.chars().all(|c| matches!(c, 'i' | 'v' | 'x' | 'l'));
    (digits(number) || roman) && digits(of)
}
