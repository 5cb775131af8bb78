//! Every rule on a sample, and the way back from each cleaned character.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};

use super::{Draft, RULES, Role};

fn clean(text: &str, marks: Vec<(std::ops::Range<usize>, Role)>) -> String {
    Draft::new(text, marks).clean(&BTreeSet::new()).0
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of expect-test")]
#[track_caller]
fn check(text: &str, wanted: Expect) {
    wanted.assert_eq(&clean(text, Vec::new()));
}

/// The text with `«role…»` taken out and marked.
fn marked(text: &str, role: Role) -> String {
    let start = text.find('«').unwrap();
    let end = text.find('»').unwrap() - '«'.len_utf8();
    clean(&text.replace(['«', '»'], ""), vec![(start..end, role)])
}

#[test]
fn characters_are_normalised() {
    check(
        "e\u{fb03}cient o\u{fb03}ce \u{fb01}eld \u{fb02}ow",
        expect!["efficient office field flow"],
    );
    check(
        "a\0b\u{7}c soft\u{ad}hyphen zero\u{200b}width \u{feff}mark",
        expect!["abc softhyphen zerowidth mark"],
    );
    check("“It’s,” he said", expect![[r#""It's," he said"#]]);
    check(
        "one\r\ntwo\rthree\u{c}four",
        expect![[r"
        one two three

        four"]],
    );
}

#[test]
fn cut_words_are_put_together() {
    check("a know-\nledge graph", expect!["a knowledge graph"]);
    check(
        "it is data-driven; a data-\ndriven way",
        expect!["it is data-driven; a data-driven way"],
    );
    check(
        "place-\nment and placement",
        expect!["placement and placement"],
    );
    check("a well-\nknown fact", expect!["a well-known fact"]);
    check(
        "by Smith-\nJones in 2019-\n2020",
        expect!["by Smith-Jones in 2019- 2020"],
    );
}

#[test]
fn lines_are_joined_but_items_and_paragraphs_are_not() {
    check(
        "one\ntwo\n\n\n\nthree   four",
        expect![[r"
        one two

        three four"]],
    );
    check(
        "We have\n- a thing\n- another\n  thing\n1. first",
        expect![[r"
        We have
        - a thing
        - another thing
        1. first"]],
    );
    check(
        "text\n-----\n* * *\nmore",
        expect![[r"
        text

        more"]],
    );
}

#[test]
fn pointers_and_links_go() {
    check(
        "as shown [3], [4]–[6] and [1, 2]. Next",
        expect!["as shown and. Next"],
    );
    check("[1] starts a line", expect!["[1] starts a line"]);
    check(
        "it works (Smith et al., 2020; Lee and Kim, 2021a), they say (in 2020).",
        expect!["it works, they say (in 2020)."],
    );
    check(
        "see (https://a.example/b?c=d.) or a@b.example, doi:10.1000/182.",
        expect!["see (.) or,."],
    );
}

#[test]
fn a_label_that_runs_in_goes() {
    check("Abstract—We show it.", expect!["We show it."]);
    check(
        "Title\n\nAbstract. We show it.",
        expect![[r"
        Title

        We show it."]],
    );
    check(
        "Abstract\n\nAbstract nouns are many.",
        expect![[r"
        Abstract

        Abstract nouns are many."]],
    );
}

#[test]
fn the_list_of_references_goes_until_the_next_part() {
    let list = "Text.\n\nReferences\n\n[1] A. Author. Title. 2019.\n\n[2] B. Author. 2020.\n\nAppendix A\n\nMore text.";
    check(
        list,
        expect![[r"
        Text.

        Appendix A

        More text."]],
    );
    let chapter = "Text.\n\n4 Bibliography\n\nA bibliography lists works.\n\nIt stands at the end.\n\nMostly.";
    assert_eq!(clean(chapter, Vec::new()), chapter);
}

#[test]
fn marked_stretches_go() {
    let cases = [
        (Role::RunningHead, "one\n\n«Journal of X»\n\ntwo"),
        (Role::PageNumber, "one\n\n«7»\n\ntwo"),
        (Role::Authors, "one\n\n«A. Author»\n\ntwo"),
        (Role::Cells, "one\n\n«1 2 3»\n\ntwo"),
        (Role::Code, "one\n\n«let x;»\n\ntwo"),
        (Role::Boilerplate, "one\n\n«Home | Login»\n\ntwo"),
    ];
    for (role, text) in cases {
        assert_eq!(marked(text, role), "one\n\ntwo", "{role:?}");
    }
    assert_eq!(marked("words«1» go on", Role::NoteMark), "words go on");
    assert_eq!(
        marked("we have\n«a = b»\nwhere a is b", Role::Formula),
        "we have where a is b"
    );
    assert_eq!(
        marked("one\n\n«Figure 1: it»\n\ntwo", Role::Caption),
        "one\n\nFigure 1: it\n\ntwo"
    );
}

#[test]
fn every_rule_is_counted_and_can_be_left_out() {
    let text = "e\u{fb03}ce know-\nledge [1]";
    let (_, _, steps) = Draft::new(text, Vec::new()).clean(&BTreeSet::new());
    assert_eq!(
        steps
            .iter()
            .map(|step| step.rule.as_str())
            .collect::<Vec<_>>(),
        RULES.iter().map(|rule| rule.name).collect::<Vec<_>>()
    );
    let step = |name: &str| steps.iter().find(|step| step.rule == name).unwrap().clone();
    assert_eq!(
        (
            step("ligatures").count,
            step("ligatures").removed,
            step("ligatures").added
        ),
        (1, 1, 3)
    );
    assert_eq!(
        step("hyphens").sample,
        Some(("-\n".to_owned(), String::new()))
    );
    assert_eq!(step("citations").removed, 4);
    let skip = BTreeSet::from(["ligatures".to_owned(), "citations".to_owned()]);
    let (text, _, steps) = Draft::new(text, Vec::new()).clean(&skip);
    assert_eq!(text, "e\u{fb03}ce knowledge [1]");
    assert!(steps.iter().all(|step| !skip.contains(&step.rule)));
}

#[test]
fn nothing_goes_uncounted() {
    let text = TANGLED.repeat(3);
    let (clean, _, steps) = Draft::new(&text, marks_of(&text)).clean(&BTreeSet::new());
    let removed: usize = steps.iter().map(|step| step.removed).sum();
    let added: usize = steps.iter().map(|step| step.added).sum();
    assert_eq!(
        text.chars().count() + added - removed,
        clean.chars().count()
    );
}

#[test]
fn every_cleaned_character_maps_into_the_original() {
    let text = TANGLED.repeat(3);
    let (clean, spans, _) = Draft::new(&text, marks_of(&text)).clean(&BTreeSet::new());
    assert_eq!(spans.clean_len(), clean.len());
    let mut last = 0;
    for (at, c) in clean.char_indices() {
        let original = spans.to_original(at..at + c.len_utf8());
        assert!(
            text.is_char_boundary(original.start) && text.is_char_boundary(original.end),
            "{original:?}"
        );
        assert!(original.start >= last, "the order is kept");
        assert!(!original.is_empty(), "`{c}` at {at} comes from nothing");
        let source = &text[original.clone()];
        assert!(
            source.contains(c) || !c.is_alphanumeric() || source.contains('\u{fb03}'),
            "`{c}` does not come from `{source}`"
        );
        last = original.start;
    }
    let word = clean.find("knowledge").unwrap();
    assert_eq!(&text[spans.to_original(word..word + 9)], "know-\r\nledge");
}

/// A bit of everything.
const TANGLED: &str = "A Title\n\nJournal 7\n\nThe e\u{fb03}cient\u{ad} know-\r\nledge graph [12] “works”\0 in naïve\u{200b} ways.1\n\
    It is   shown (Lee, 2020)\nin https://x.example/y. 日本語の文。\n\n- item one\n- item two\n\n| 1 | 2 |\n\n***\n\n";

fn marks_of(text: &str) -> Vec<(std::ops::Range<usize>, Role)> {
    let mut marks: Vec<_> = [("Journal 7", Role::RunningHead), ("| 1 | 2 |", Role::Cells)]
        .into_iter()
        .flat_map(|(what, role)| {
            text.match_indices(what)
                .map(move |(at, _)| (at..at + what.len(), role))
        })
        .chain(
            text.match_indices("ways.1")
                .map(|(at, _)| (at + 5..at + 6, Role::NoteMark)),
        )
        .collect();
    marks.sort_by_key(|(range, _)| range.start);
    marks
}
