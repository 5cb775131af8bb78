//! Filters are read, and refused with the place of the mistake.

use expect_test::{Expect, expect};

use super::*;
use crate::error::SearchError;

fn read(filter: &str) -> Result<Filter, SearchError> {
    let fields = [
        ("year".to_owned(), Kind::Number),
        ("kind".to_owned(), Kind::Text),
        ("published".to_owned(), Kind::Date),
        ("open".to_owned(), Kind::Bool),
        ("my field".to_owned(), Kind::Text),
    ];
    parse(filter, &fields)
}

fn refused(filter: &str, expect: &Expect) {
    let error = read(filter).unwrap_err();
    expect.assert_eq(&format!("{error}\n{}\n", error.hint()));
}

#[test]
fn what_is_right_is_read() {
    for filter in [
        "year >= 2020 and source ~ \"arxiv\" and kind = 'image'",
        "NOT (year = -1.5e3 OR open = true) AND `my field` exists",
        "kind in (\"a\", \"b\") and published < 2024 and published = 2023-05-06",
        "published >= \"2024-05-01T10:00:00\" or title < \"m\" or kind !~ \"\\\"x\" and id != 'ü'",
        "year == 1_000",
    ] {
        assert!(read(filter).is_ok(), "{:?}", read(filter));
    }
    assert_eq!(
        read("published = 1970-01-02").unwrap(),
        Filter::Test(
            Column {
                path: "fields.f2".to_owned(),
                kind: Kind::Date
            },
            Test::Between(86_400.0, 172_799.0)
        )
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    refused(
        "year >= 2020 and yeer < 3",
        &expect![[r"
            cannot read the filter at position 18: no field named `yeer`
              year >= 2020 and yeer < 3
                               ^^^^
            known here: `id`, `title`, `source`, `year`, `kind`, `published`, `open`, `my field`
        "]],
    );
    refused(
        "kind = image",
        &expect![[r#"
        cannot read the filter at position 8: `kind` is a text; write texts in quotes: "image"
          kind = image
                 ^^^^^

    "#]],
    );
    refused(
        "year ~ \"2\"",
        &expect![[r#"
            cannot read the filter at position 6: `~` is for texts, and `year` is a number
              year ~ "2"
                   ^
            known here: `=`, `!=`, `<`, `<=`, `>`, `>=`
        "#]],
    );
    refused(
        "year",
        &expect![[r"
            cannot read the filter at position 1: expected an operator after `year`
              year
              ^^^^
            known here: `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `!~`, `in`, `exists`
        "]],
    );
    refused(
        "(year > 3",
        &expect![[r"
        cannot read the filter at position 10: expected `)`
          (year > 3
                   ^

    "]],
    );
    refused(
        "year > \"x",
        &expect![[r#"
        cannot read the filter at position 8: the closing " is missing
          year > "x
                 ^^

    "#]],
    );
}

#[test]
fn what_is_wrong_after_the_start_is_named_too() {
    refused(
        "year > 3 kind = \"a\"",
        &expect![[r#"
            cannot read the filter at position 10: expected `and`, `or` or the end
              year > 3 kind = "a"
                       ^^^^
            known here: `and`, `or`
        "#]],
    );
    refused(
        "published > 2024-13-01",
        &expect![[r"
        cannot read the filter at position 13: no date: `2024-13-01`; write it like 2024-05-01
          published > 2024-13-01
                      ^^^^^^^^^^

    "]],
    );
    refused(
        "open > true",
        &expect![[r"
        cannot read the filter at position 8: truth values have no order for `>`
          open > true
                 ^^^^

    "]],
    );
    refused(
        "ünknown ; 3",
        &expect![[r"
        cannot read the filter at position 10: `;` means nothing here
          ünknown ; 3
                  ^

    "]],
    );
    refused(
        &"(".repeat(100),
        &expect![[r"
        cannot read the filter at position 65: more than 64 levels of parentheses
          ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((
                                                                          ^

    "]],
    );
}

#[test]
fn no_filter_makes_the_reader_fall_over() {
    let pieces = [
        "year",
        " ",
        ">=",
        "3",
        "(",
        ")",
        "\"",
        "'",
        "`",
        "and",
        "not",
        "in",
        ",",
        "ü",
        "\\",
        "~",
        "-",
        "2020-01-01",
        "exists",
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let filter: String = (0..rng.usize(..12))
            .map(|_| pieces[rng.usize(..pieces.len())])
            .collect();
        if let Err(error) = read(&filter) {
            assert!(!error.to_string().is_empty());
        }
    }
}
