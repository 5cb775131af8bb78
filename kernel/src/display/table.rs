//! Tables, in the look that notebooks give to data frames.

use std::fmt::Write;

use mlk8s_catalog::view::Table;

use super::{escape, figure};

/// Rows that are shown; the rest is counted.
const ROWS: usize = 500;
/// Characters of a cell that are shown; the rest is in its tooltip.
const CELL: usize = 160;
/// Characters of a cell that are shown when it is opened.
const OPENED: usize = 8000;

/// The HTML of `table` with its style.
pub(crate) fn html(table: &Table) -> String {
    format!(
        "<div class=\"mlk8s-table\"><style>{}</style>\n{}</div>",
        figure::STYLE,
        bare(table)
    )
}

/// The HTML of a remark, in the look of those below tables.
pub(crate) fn remark(text: &str) -> String {
    format!(
        "<div class=\"mlk8s-table\"><style>{}</style>\n<p><small>{}</small></p></div>",
        figure::STYLE,
        escape::prose(text)
    )
}

/// The HTML of `table` for a place that has the style already.
pub(crate) fn bare(table: &Table) -> String {
    let mut out = String::from("<table border=\"1\" class=\"dataframe mlk8s-grid\">\n");
    if !table.title.is_empty() {
        let _ = writeln!(out, "<caption>{}</caption>", escape::text(&table.title));
    }
    out.push_str("<thead><tr>");
    for column in &table.columns {
        let _ = write!(
            out,
            "<th {}>{}</th>",
            align(column.numeric),
            escape::text(&column.name)
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in table.rows.iter().take(ROWS) {
        out.push_str("<tr>");
        for (i, column) in table.columns.iter().enumerate() {
            let text = row.get(i).map_or("", String::as_str);
            if column.brief > 0 && text.chars().count() > column.brief {
                out.push_str(&brief(text, column.brief));
            } else {
                out.push_str(&cell(text, column.numeric));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>");
    if table.rows.len() > ROWS {
        let _ = write!(
            out,
            "\n<p><small>… and {} more rows</small></p>",
            table.rows.len() - ROWS
        );
    }
    if !table.note.is_empty() {
        let _ = write!(
            out,
            "\n<p><small>{}</small></p>",
            escape::prose(&table.note)
        );
    }
    out
}

fn cell(text: &str, numeric: bool) -> String {
    let shown = escape::text(&escape::cut(text, CELL));
    let title = if text.chars().count() > CELL {
        format!(" title=\"{}\"", escape::text(&escape::cut(text, 10 * CELL)))
    } else {
        String::new()
    };
    format!("<td {}{title}>{shown}</td>", align(numeric))
}

/// A cell that shows its beginning, and all of it when it is opened.
fn brief(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "<td {}><details><summary>{}</summary><div class=\"mlk8s-all\">{}</div></details></td>",
        align(false),
        escape::text(&escape::cut(&line, limit)),
        escape::text(&escape::cut(text, OPENED))
    )
}

/// Both forms: the class survives where style attributes are removed, the style where style elements are.
fn align(numeric: bool) -> &'static str {
    if numeric {
        "class=\"mlk8s-n\" style=\"text-align:right\""
    } else {
        "class=\"mlk8s-t\" style=\"text-align:left\""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use mlk8s_catalog::view::Column;

    #[test]
    fn a_table_is_escaped_and_aligned() {
        let table = Table {
            title: "<b>".to_owned(),
            columns: vec![Column::text("file"), Column::number("pages")],
            rows: vec![
                vec!["<script>\"x\"".to_owned(), "3".to_owned()],
                vec!["short".to_owned()],
            ],
            note: "a & b".to_owned(),
        };
        expect![[r#"
            <table border="1" class="dataframe mlk8s-grid">
            <caption>&lt;b&gt;</caption>
            <thead><tr><th class="mlk8s-t" style="text-align:left">file</th><th class="mlk8s-n" style="text-align:right">pages</th></tr></thead>
            <tbody>
            <tr><td class="mlk8s-t" style="text-align:left">&lt;script&gt;&quot;x&quot;</td><td class="mlk8s-n" style="text-align:right">3</td></tr>
            <tr><td class="mlk8s-t" style="text-align:left">short</td><td class="mlk8s-n" style="text-align:right"></td></tr>
            </tbody></table>
            <p><small>a &amp; b</small></p>"#]]
        .assert_eq(&bare(&table));
    }

    #[test]
    fn a_long_cell_can_be_opened() {
        let table = Table {
            columns: vec![Column::long("answer", 9)],
            rows: vec![vec!["one <two>\nthree".to_owned()], vec!["one".to_owned()]],
            ..Table::default()
        };
        let html = bare(&table);
        assert!(
            html.contains("<summary>one &lt;two…</summary><div class=\"mlk8s-all\">one &lt;two&gt;\nthree</div>"),
            "{html}"
        );
        assert_eq!(html.matches("<details>").count(), 1);
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let table = Table {
            columns: vec![Column::text("a")],
            rows: vec![vec!["y".repeat(400)]; ROWS + 2],
            ..Table::default()
        };
        let html = bare(&table);
        assert!(html.contains("… and 2 more rows"));
        assert!(html.contains("title=\"yyy"));
    }
}
