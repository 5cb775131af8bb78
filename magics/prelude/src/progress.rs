//! A bar that shows how far a loop is, in one display that is renewed in place.

use std::time::{Duration, Instant};

use crate::bundle::Bundle;
use crate::display::Display;

/// A loop that takes less than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(300);
/// The display is renewed at most this often.
const RENEWAL: Duration = Duration::from_millis(200);
/// Columns of the bar in text.
const WIDTH: usize = 30;

/// Goes through `items` and shows how far the loop is: `for row in progress(rows) { … }`.
pub fn progress<I: IntoIterator>(items: I) -> Progress<I::IntoIter> {
    let items = items.into_iter();
    let total = match items.size_hint() {
        (least, Some(most)) if least == most => Some(most),
        _ => None,
    };
    Progress {
        items,
        done: 0,
        total,
        begun: Instant::now(),
        shown: None,
    }
}

/// The iterator that [`progress`] makes.
#[derive(Debug)]
pub struct Progress<I> {
    items: I,
    done: usize,
    total: Option<usize>,
    begun: Instant,
    shown: Option<(Display, Instant)>,
}

impl<I: Iterator> Iterator for Progress<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let item = self.items.next();
        if item.is_some() {
            self.renew(Instant::now());
            self.done += 1;
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I> Progress<I> {
    fn renew(&mut self, now: Instant) {
        match &self.shown {
            Some((_, renewed)) if now.duration_since(*renewed) < RENEWAL => {}
            Some((display, _)) => {
                display.replace(Some(self.bundle(now)));
                if let Some((_, renewed)) = &mut self.shown {
                    *renewed = now;
                }
            }
            None if now.duration_since(self.begun) < PATIENCE => {}
            None => self.shown = Some((Display::show(Some(self.bundle(now))), now)),
        }
    }

    fn bundle(&self, now: Instant) -> Bundle {
        let text = line(self.done, self.total, now.duration_since(self.begun));
        let html = match self.total {
            Some(total) => format!(
                "<progress value=\"{}\" max=\"{total}\"></progress> <code>{text}</code>",
                self.done
            ),
            None => format!("<code>{text}</code>"),
        };
        Bundle::plain(bar(self.done, self.total) + &text).with("text/html", html)
    }
}

impl<I> Drop for Progress<I> {
    /// Leaves one line that says how far the loop came.
    fn drop(&mut self) {
        if let Some((display, _)) = self.shown.take() {
            let text = line(self.done, self.total, self.begun.elapsed());
            let html = format!("<code>{text}</code>");
            display.replace(Some(Bundle::plain(text).with("text/html", html)));
        }
    }
}

fn bar(done: usize, total: Option<usize>) -> String {
    total
        .filter(|&total| total > 0)
        .map_or_else(String::new, |total| {
            let full = WIDTH * done.min(total) / total;
            format!("[{}{}] ", "█".repeat(full), " ".repeat(WIDTH - full))
        })
}

fn line(done: usize, total: Option<usize>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = done as f64 / seconds.max(1e-9);
    let speed = format!("{seconds:.1} s, {rate:.1} a second");
    match total {
        Some(total) if done < total && done > 0 => {
            let left = (total - done) as f64 / rate;
            format!("{done} of {total}, {speed}, {left:.1} s left")
        }
        Some(total) => format!("{done} of {total}, {speed}"),
        None => format!("{done}, {speed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let two = Duration::from_secs(2);
        assert_eq!(
            line(4, Some(8), two),
            "4 of 8, 2.0 s, 2.0 a second, 2.0 s left"
        );
        assert_eq!(line(8, Some(8), two), "8 of 8, 2.0 s, 4.0 a second");
        assert_eq!(line(8, None, two), "8, 2.0 s, 4.0 a second");
        assert_eq!(bar(15, Some(30)).matches('█').count(), 15);
    }

    #[test]
    fn every_item_comes_once() {
        assert_eq!(progress(0..5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(progress(vec!["a"]).size_hint(), (1, Some(1)));
    }
}
