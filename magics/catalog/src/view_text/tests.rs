//! The text of each kind of view.

use unicode_width::UnicodeWidthStr;

use super::TABLE_WIDTH;
use crate::view::{
    AnswerView, CloudView, CloudWord, Column, EvidenceView, GraphView, MarkedText, NodeView, Table,
    TripleView, View,
};
use expect_test::{Expect, expect};

fn check(view: &View, shown: &Expect) {
    shown.assert_eq(&view.text());
}

fn table(columns: Vec<Column>, rows: &[&[&str]]) -> Table {
    Table {
        title: "what was read".to_owned(),
        columns,
        rows: rows
            .iter()
            .map(|row| row.iter().map(|&c| c.to_owned()).collect())
            .collect(),
        note: "1 file was left out".to_owned(),
    }
}

#[test]
fn wide_letters_keep_columns_aligned() {
    let rows: &[&[&str]] = &[&["知識グラフ", "12"], &["naïve\u{1b}[31m\nname", "3"]];
    let view = View::Table(table(
        vec![Column::text("title"), Column::number("pages")],
        rows,
    ));
    check(
        &view,
        &expect![[r"
            what was read
            title           pages
            ──────────────  ─────
            知識グラフ         12
            naïve[31m name      3
            1 file was left out"]],
    );
}

#[test]
fn a_long_cell_is_cut_and_numbers_are_not() {
    let long = "x".repeat(500);
    let rows: &[&[&str]] = &[&[&long, "1234567"]];
    let text = View::Table(table(vec![Column::text("a"), Column::number("n")], rows)).text();
    let row = text.lines().nth(3).unwrap();
    assert_eq!(row.width(), TABLE_WIDTH);
    assert!(row.ends_with("…  1234567"), "{row}");
}

#[test]
fn an_answer_cites_its_evidence() {
    let piece = EvidenceView {
        citation: 1,
        title: "Fog & light".to_owned(),
        source: "fog.pdf".to_owned(),
        sentences: vec![MarkedText {
            text: "The Fresnel lens\nwas lit in 1823.".to_owned(),
            marked: Vec::new(),
        }],
    };
    let view = View::Answer(Box::new(AnswerView {
        question: "When was it lit?".to_owned(),
        linked: vec!["Fresnel lens".to_owned()],
        guided: vec![piece.clone()],
        plain: vec![piece],
        triples: vec![TripleView {
            subject: "Fresnel lens".to_owned(),
            relation: "was lit in".to_owned(),
            object: "1823".to_owned(),
            citation: 1,
        }],
        remark: String::new(),
    }));
    check(
        &view,
        &expect![[r"
            When was it lit?
            linked to: Fresnel lens

            Guided by the graph

            [1] Fog & light (fog.pdf)
                The Fresnel lens was lit in 1823.

            triples used:
              Fresnel lens — was lit in — 1823 [1]

            Plain word search (BM25)

            [1] Fog & light (fog.pdf)
                The Fresnel lens was lit in 1823."]],
    );
}

#[test]
fn a_graph_is_told_by_its_hubs() {
    let node = |name: &str, degree| NodeView {
        name: name.to_owned(),
        degree,
        mentions: 7,
        ..NodeView::default()
    };
    let view = View::Graph(Box::new(GraphView {
        title: "kg".to_owned(),
        nodes: vec![node("lamp", 1), node("lens", 4)],
        n_communities: 1,
        left_out: "3 entities are left out".to_owned(),
        ..GraphView::default()
    }));
    check(
        &view,
        &expect![[r"
            kg
            2 entities, 0 relations, 1 community

            most connected:
              lens                                          4 relations      7 mentions
              lamp                                          1 relations      7 mentions

            communities in the picture:
                 2 entities: lens, lamp

            3 entities are left out"]],
    );
}

#[test]
fn a_stack_is_its_parts_and_a_cloud_its_words() {
    let word = CloudWord {
        text: "lens".to_owned(),
        ..CloudWord::default()
    };
    let cloud = CloudView {
        title: "docs".to_owned(),
        words: vec![word.clone(), word],
        ..CloudView::default()
    };
    let view = View::Stack(vec![
        View::Text("a\n".to_owned()),
        View::Nothing,
        View::Cloud(cloud),
    ]);
    check(
        &view,
        &expect![[r"
            a

            docs
            lens · lens"]],
    );
}
