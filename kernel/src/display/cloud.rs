//! Words sized by weight, as a picture.

use std::fmt::Write;

use mlk8s_catalog::view::{CloudView, Column, Table};

use super::figure::{self, Figure};
use super::{Drawn, chart, escape, palette, table};

/// Words in the table below the picture.
const ROWS: usize = 40;

/// The picture of `cloud` and its figure.
pub(crate) fn draw(cloud: &CloudView) -> Drawn {
    let svg = picture(cloud);
    let words: Vec<&str> = cloud
        .words
        .iter()
        .take(8)
        .map(|word| word.text.as_str())
        .collect();
    let figure = Figure {
        svg: &svg,
        alt: &format!("Word cloud. {}. Largest: {}", cloud.title, words.join(", ")),
        caption: escape::text(&cloud.title),
        details: Some(("Words by weight", table::bare(&by_weight(cloud)))),
        live: Some(chart::live()),
    };
    Drawn {
        html: figure::html(&figure, 900),
        svg: Some(svg),
    }
}

fn picture(cloud: &CloudView) -> String {
    let (width, height) = (side(cloud.width), side(cloud.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif\" text-anchor=\"middle\">\n\
         <rect class=\"mlk8s-card\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#fcfcfd\"/>\n"
    );
    for (index, word) in cloud.words.iter().enumerate() {
        if !(word.x.is_finite() && word.y.is_finite() && word.size.is_finite()) {
            continue;
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" dominant-baseline=\"central\" font-size=\"{:.1}\" {}>{}</text>",
            word.x,
            word.y,
            word.size,
            ink(index, word.weight),
            escape::text(&word.text),
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A side of the plane; nonsense becomes a usable size.
fn side(length: f32) -> f32 {
    if length.is_finite() {
        length.clamp(100.0, 4000.0)
    } else {
        600.0
    }
}

/// The heaviest words are dark, lighter ones take turns in calm colours; on a dark page both are lighter.
fn ink(index: usize, weight: f32) -> String {
    const CALM: [usize; 5] = [0, 5, 2, 7, 6];
    let (class, fill) = if weight > 0.6 {
        ("deep", "#1f3a5f")
    } else {
        ("calm", palette::COMMUNITIES[CALM[index % CALM.len()]])
    };
    format!("class=\"mlk8s-{class}\" fill=\"{fill}\"")
}

fn by_weight(cloud: &CloudView) -> Table {
    let row = |word: &mlk8s_catalog::view::CloudWord| {
        vec![word.text.clone(), format!("{:.2}", word.weight)]
    };
    Table {
        columns: vec![Column::text("Word"), Column::number("Weight")],
        rows: cloud.words.iter().take(ROWS).map(row).collect(),
        note: match cloud.words.len().saturating_sub(ROWS) {
            0 => String::new(),
            more => format!("and {more} more"),
        },
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::CloudWord;

    #[test]
    fn words_are_text() {
        let word = CloudWord {
            text: "]]></svg>&".to_owned(),
            size: 20.0,
            ..CloudWord::default()
        };
        let cloud = CloudView {
            title: "t".to_owned(),
            width: 300.0,
            height: f32::NAN,
            words: vec![word],
        };
        let svg = picture(&cloud);
        assert!(svg.contains(">]]&gt;&lt;/svg&gt;&amp;</text>"), "{svg}");
        assert_eq!(svg.matches("</svg>").count(), 1);
        assert!(svg.contains("viewBox=\"0 0 300 600\""));
        assert!(svg.contains("class=\"mlk8s-card\"") && svg.contains("class=\"mlk8s-calm\""));
        // The picture enters the page, where it takes the colours of the theme.
        let html = draw(&cloud).html;
        assert!(
            html.contains(".mlk8s-chart .mlk8s-calm{") && html.contains("class=\"mlk8s-data\"")
        );
    }
}
