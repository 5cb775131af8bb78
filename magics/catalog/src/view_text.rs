//! The plain-text form of every view: what consoles show and what every frontend can fall back on.

mod line;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use self::line::{cut, one_line, pad, wrap};
use crate::view::{
    AnswerView, CloudView, EvidenceView, GraphView, HitsView, ReplyView, Table, TripleView, View,
    Wording,
};

/// Columns of text that a table may take before its widest columns are cut.
const TABLE_WIDTH: usize = 110;
/// A column of words is never cut below this width.
const LEAST_WIDTH: usize = 12;
/// Rows that are printed; the rest is counted.
const ROWS: usize = 60;
/// Columns of text at which sentences are wrapped.
const WRAP: usize = 96;
/// Columns of text that one sentence may take.
const SENTENCE: usize = 2000;
/// Hubs and communities that are listed.
const HUBS: usize = 10;
/// Names that stand for one community.
const NAMES: usize = 5;
/// Words of a cloud that are listed.
const WORDS: usize = 40;

impl View {
    /// What the view says, as plain text without control characters and without a final line break.
    pub fn text(&self) -> String {
        let text = match self {
            // Whoever draws a chart describes it.
            View::Nothing | View::Chart(_) => String::new(),
            View::Text(text) | View::Remark(text) | View::Markdown(text) => {
                let is_shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
                text.chars().filter(is_shown).collect()
            }
            View::Table(table) => table_text(table),
            View::Graph(graph) => graph_text(graph),
            View::Answer(answer) => answer_text(answer),
            View::Cloud(cloud) => cloud_text(cloud),
            View::Replies(replies) => replies_text(replies),
            View::Hits(hits) => hits_text(hits),
            View::Stack(views) => {
                let parts: Vec<String> = views
                    .iter()
                    .map(View::text)
                    .filter(|t| !t.is_empty())
                    .collect();
                parts.join("\n\n")
            }
        };
        text.trim_end().to_owned()
    }
}

fn hits_text(hits: &HitsView) -> String {
    let mut out = String::new();
    if hits.hits.is_empty() {
        out.push_str("nothing found\n");
    }
    for hit in &hits.hits {
        let _ = writeln!(
            out,
            "{}. {}  ({})",
            hit.rank,
            one_line(&hit.title),
            hit.found
        );
        let text = cut(&one_line(&hit.text.text), SENTENCE);
        for line in wrap(&text, WRAP) {
            let _ = writeln!(out, "   {line}");
        }
    }
    let _ = write!(out, "({})", one_line(&hits.note));
    out
}

fn replies_text(replies: &[ReplyView]) -> String {
    let parts = replies.iter().map(|reply| {
        let mut out = String::new();
        if !reply.title.is_empty() {
            let _ = writeln!(out, "── {} ──", one_line(&reply.title));
        }
        out.push_str(reply.markdown.trim());
        for source in &reply.sources {
            let _ = write!(out, "\n[{}] {}", source.citation, one_line(&source.title));
        }
        for line in [&reply.warning, &reply.hint, &reply.footer] {
            if !line.is_empty() {
                let _ = write!(out, "\n({})", one_line(line));
            }
        }
        out.replace(
            |c: char| c.is_control() && c != '\n' && c != '\t',
            "\u{fffd}",
        )
    });
    parts.collect::<Vec<_>>().join("\n\n")
}

fn table_text(table: &Table) -> String {
    let mut out = String::new();
    if !table.title.is_empty() {
        let _ = writeln!(out, "{}", one_line(&table.title));
    }
    if !table.columns.is_empty() {
        grid(&mut out, table);
    }
    if table.rows.len() > ROWS {
        let _ = writeln!(out, "… and {} more rows", table.rows.len() - ROWS);
    }
    if !table.note.is_empty() {
        let _ = writeln!(out, "{}", one_line(&table.note));
    }
    out
}

/// Writes heading, rule and rows, every column as wide as its widest cell within what is allowed.
fn grid(out: &mut String, table: &Table) {
    let heading: Vec<String> = table.columns.iter().map(|c| one_line(&c.name)).collect();
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .take(ROWS)
        .map(|row| {
            (0..heading.len())
                .map(|i| {
                    let cell = row.get(i).map(|c| one_line(c)).unwrap_or_default();
                    match table.columns[i].brief {
                        0 => cell,
                        brief => cut(&cell, brief),
                    }
                })
                .collect()
        })
        .collect();
    let widths = widths(table, &heading, &rows);
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .zip(&table.columns)
            .map(|((cell, &width), column)| pad(&cut(cell, width), width, column.numeric))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let rule: Vec<String> = widths.iter().map(|&w| "─".repeat(w)).collect();
    let _ = writeln!(out, "{}\n{}", line(&heading), rule.join("  "));
    for row in &rows {
        let _ = writeln!(out, "{}", line(row));
    }
}

/// The widths of the columns: as wide as needed, then the widest columns of words give way.
fn widths(table: &Table, heading: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = (0..heading.len())
        .map(|i| {
            rows.iter()
                .map(|row| row[i].width())
                .chain([heading[i].width()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    loop {
        let total: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let widest = (0..widths.len())
            .filter(|&i| !table.columns[i].numeric && widths[i] > LEAST_WIDTH)
            .max_by_key(|&i| (widths[i], i));
        match widest {
            Some(i) if total > TABLE_WIDTH => {
                widths[i] = widths[i]
                    .saturating_sub(total - TABLE_WIDTH)
                    .max(LEAST_WIDTH)
                    .max(widths[i] / 2);
            }
            _ => return widths,
        }
    }
}

fn graph_text(graph: &GraphView) -> String {
    let mut out = String::new();
    let (wording, n) = (graph.wording, graph.n_communities);
    let _ = write!(
        out,
        "{}\n{}, {}",
        one_line(&graph.title),
        wording.nodes(graph.nodes.len()),
        wording.edges(graph.edges.len()),
    );
    let is_knowledge = wording == Wording::Knowledge;
    if is_knowledge {
        let many = if n == 1 { "community" } else { "communities" };
        let _ = write!(out, ", {n} {many}");
    }
    out.push('\n');
    let mut hubs: Vec<usize> = (0..graph.nodes.len()).collect();
    hubs.sort_by_key(|&i| {
        (
            std::cmp::Reverse((graph.nodes[i].degree, graph.nodes[i].mentions)),
            i,
        )
    });
    if !hubs.is_empty() {
        let _ = writeln!(out, "\nmost connected:");
    }
    for &i in hubs.iter().take(HUBS) {
        let node = &graph.nodes[i];
        let name = pad(&cut(&one_line(&node.name), 40), 40, false);
        if is_knowledge {
            let _ = writeln!(
                out,
                "  {name}  {:>5} relations  {:>5} mentions",
                node.degree, node.mentions
            );
        } else {
            let _ = writeln!(out, "  {name}  {:>5} edges", node.degree);
        }
    }
    if is_knowledge {
        communities(&mut out, graph, &hubs);
    }
    if !graph.left_out.is_empty() {
        let _ = writeln!(out, "\n{}", one_line(&graph.left_out));
    }
    out
}

/// Lists the largest communities in the picture by the names of their hubs.
fn communities(out: &mut String, graph: &GraphView, hubs: &[usize]) {
    let mut members: std::collections::BTreeMap<u32, Vec<usize>> =
        std::collections::BTreeMap::new();
    for &i in hubs {
        members.entry(graph.nodes[i].community).or_default().push(i);
    }
    let mut groups: Vec<_> = members.into_iter().filter(|(_, of)| of.len() > 1).collect();
    groups.sort_by_key(|(community, of)| (std::cmp::Reverse(of.len()), *community));
    if !groups.is_empty() {
        let _ = writeln!(out, "\ncommunities in the picture:");
    }
    for (_, of) in groups.iter().take(HUBS) {
        let names: Vec<String> = of
            .iter()
            .take(NAMES)
            .map(|&i| cut(&one_line(&graph.nodes[i].name), 30))
            .collect();
        let more = if of.len() > NAMES { ", …" } else { "" };
        let _ = writeln!(
            out,
            "  {:>4} entities: {}{more}",
            of.len(),
            names.join(", ")
        );
    }
}

fn answer_text(answer: &AnswerView) -> String {
    let mut out = format!("{}\n", cut(&one_line(&answer.question), SENTENCE));
    if !answer.linked.is_empty() {
        let linked: Vec<String> = answer.linked.iter().map(|name| one_line(name)).collect();
        let _ = writeln!(out, "linked to: {}", linked.join(" · "));
    }
    if !answer.remark.is_empty() {
        let _ = writeln!(out, "{}", one_line(&answer.remark));
    }
    if !answer.plain.is_empty() {
        let _ = writeln!(out, "\nGuided by the graph");
    }
    evidence(&mut out, &answer.guided);
    if !answer.triples.is_empty() {
        let _ = writeln!(out, "\ntriples used:");
    }
    for triple in &answer.triples {
        let _ = writeln!(out, "  {}", triple_line(triple));
    }
    if !answer.plain.is_empty() {
        let _ = writeln!(out, "\nPlain word search (BM25)");
        evidence(&mut out, &answer.plain);
    }
    out
}

fn evidence(out: &mut String, all: &[EvidenceView]) {
    if all.is_empty() {
        let _ = writeln!(out, "\nnothing found");
    }
    for piece in all {
        let source = one_line(&piece.source);
        let source = if source.is_empty() {
            source
        } else {
            format!(" ({source})")
        };
        let _ = writeln!(
            out,
            "\n[{}] {}{source}",
            piece.citation,
            cut(&one_line(&piece.title), WRAP)
        );
        for sentence in &piece.sentences {
            for line in wrap(&cut(&one_line(&sentence.text), SENTENCE), WRAP - 4) {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
}

fn triple_line(triple: &TripleView) -> String {
    let [subject, relation, object] =
        [&triple.subject, &triple.relation, &triple.object].map(|part| cut(&one_line(part), WRAP));
    match triple.citation {
        0 => format!("{subject} — {relation} — {object}"),
        n => format!("{subject} — {relation} — {object} [{n}]"),
    }
}

fn cloud_text(cloud: &CloudView) -> String {
    let words: Vec<String> = cloud
        .words
        .iter()
        .take(WORDS)
        .map(|word| one_line(&word.text))
        .collect();
    let mut out = format!("{}\n", one_line(&cloud.title));
    for line in wrap(&words.join(" · "), WRAP) {
        let _ = writeln!(out, "{line}");
    }
    if cloud.words.len() > WORDS {
        let _ = writeln!(out, "… and {} more", cloud.words.len() - WORDS);
    }
    out
}
