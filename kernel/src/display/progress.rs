//! How far a long work is, in one place that is updated while it runs and keeps one line when it is done.

use std::time::Duration;

use serde_json::{Map, Value};

use super::escape;

/// Characters of the latest step's name that are shown.
const WHAT: usize = 60;
/// The same where nothing is counted: what is said is all there is.
const WHAT_ALONE: usize = 160;

/// Steps of the shortest work of which a rate is told afterwards.
const RATED: usize = 20;

/// How far a work is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// Steps that are finished.
    pub(crate) done: usize,
    /// All steps; 0 when it is not known.
    pub(crate) total: usize,
    /// The latest step.
    pub(crate) what: &'a str,
    /// Time since the work began.
    pub(crate) elapsed: Duration,
}

impl Step<'_> {
    /// The bundle while the work goes on.
    pub(crate) fn bundle(&self) -> Map<String, Value> {
        let (done, total) = (self.done, self.total);
        let value = if total == 0 {
            String::new()
        } else {
            format!(" value=\"{done}\" max=\"{total}\"")
        };
        let words = self.words();
        let most = if self.counts() { WHAT } else { WHAT_ALONE };
        let what = escape::cut(&one_line(self.what), most);
        let html = format!(
            "<div><progress{value} style=\"width:16em;vertical-align:middle\"></progress> {} <small>{}</small></div>",
            escape::text(&words),
            escape::text(&what),
        );
        both(format!("{words}  {what}").trim_end().to_owned(), html)
    }

    /// The bundle that stays when the work is done.
    pub(crate) fn finished(&self) -> Map<String, Value> {
        // What was not counted to its end is done all the same.
        if !self.counts() || self.done < self.total {
            let line = format!("done in {}", time(self.elapsed));
            return both(line.clone(), format!("<div><small>{line}</small></div>"));
        }
        let rate = if self.done >= RATED {
            self.rate_words()
        } else {
            String::new()
        };
        let done = count(self.done, self.total);
        let line = format!("{done} in {}{rate}", time(self.elapsed));
        let html = format!("<div><small>{}</small></div>", escape::text(&line));
        both(line, html)
    }

    /// Whether there are steps that are counted.
    fn counts(&self) -> bool {
        self.done > 0 || self.total > 0
    }

    fn words(&self) -> String {
        if !self.counts() {
            return time(self.elapsed);
        }
        let left = match self.left() {
            Some(left) => format!(", {} left", time(left)),
            None => String::new(),
        };
        format!(
            "{}{}{left}",
            count(self.done, self.total),
            self.rate_words()
        )
    }

    fn rate_words(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        if self.done == 0 || seconds < 0.001 {
            return String::new();
        }
        let rate = self.done as f64 / seconds;
        match rate {
            r if r >= 10.0 => format!(", {r:.0} a second"),
            r if r >= 1.0 => format!(", {r:.1} a second"),
            r if r >= 1.0 / 60.0 => format!(", {:.1} a minute", r * 60.0),
            r => format!(", {:.1} an hour", r * 3600.0),
        }
    }

    /// The time left if the rest goes as the beginning did.
    fn left(&self) -> Option<Duration> {
        if self.done == 0 || self.total <= self.done {
            return None;
        }
        let each = self.elapsed.as_secs_f64() / self.done as f64;
        Duration::try_from_secs_f64(each * (self.total - self.done) as f64).ok()
    }
}

fn count(done: usize, total: usize) -> String {
    if total == 0 {
        format!("{done} done")
    } else {
        format!("{done} of {total}")
    }
}

/// A time in the unit that people would use.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn both(plain: String, html: String) -> Map<String, Value> {
    let mut bundle = Map::new();
    bundle.insert("text/plain".to_owned(), plain.into());
    bundle.insert("text/html".to_owned(), html.into());
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn step(done: usize, total: usize, seconds: f64) -> Step<'static> {
        Step {
            done,
            total,
            what: "fog & <light>.pdf\u{7}",
            elapsed: Duration::from_secs_f64(seconds),
        }
    }

    fn check(bundle: &Map<String, Value>, plain: &Expect) {
        plain.assert_eq(bundle["text/plain"].as_str().unwrap());
    }

    #[test]
    fn rate_and_time_left_are_told() {
        check(
            &step(0, 187, 0.0).bundle(),
            &expect!["0 of 187  fog & <light>.pdf"],
        );
        check(
            &step(40, 187, 2.0).bundle(),
            &expect!["40 of 187, 20 a second, 7.3 s left  fog & <light>.pdf"],
        );
        check(
            &step(1, 100, 90.0).bundle(),
            &expect!["1 of 100, 40.0 an hour, 2 h 28 min left  fog & <light>.pdf"],
        );
        check(
            &step(3, 0, 4.0).bundle(),
            &expect!["3 done, 45.0 a minute  fog & <light>.pdf"],
        );
        // Nothing is counted: the time stands for it.
        check(
            &step(0, 0, 12.0).bundle(),
            &expect!["12 s  fog & <light>.pdf"],
        );
    }

    #[test]
    fn one_line_stays() {
        check(
            &step(187, 187, 75.0).finished(),
            &expect!["187 of 187 in 1 min 15 s, 2.5 a second"],
        );
        check(&step(0, 0, 12.0).finished(), &expect!["done in 12 s"]);
        check(&step(0, 7, 6.7).finished(), &expect!["done in 6.7 s"]);
        check(&step(5, 5, 7.7).finished(), &expect!["5 of 5 in 7.7 s"]);
    }

    #[test]
    fn the_bar_is_plain_html_and_escaped() {
        let bundle = step(40, 187, 2.0).bundle();
        let html = bundle["text/html"].as_str().unwrap();
        assert!(
            html.contains("<progress value=\"40\" max=\"187\""),
            "{html}"
        );
        assert!(html.contains("fog &amp; &lt;light&gt;.pdf"), "{html}");
    }
}
