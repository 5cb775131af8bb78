//! What the session knows by itself, without rust-analyzer: its variables, and the columns of its frames.

use mlk8s_catalog::complete::Frames;

use super::notes::{self, Variable};
use super::{Completions, Documentation, View};

/// Columns of the frames in the session, where the cursor stands in the text of `col("…")` and the like.
pub(super) fn columns(view: &View, code: &str, cursor: usize) -> Option<Completions> {
    let before = &code[..cursor];
    let quote = before.rfind('"')?;
    let typed = &before[quote + 1..];
    let is_open = before.rsplit('\n').next()?.matches('"').count() % 2 == 1;
    let call = before[..quote].trim_end_matches(['[', ' ', '(', ',', '"']);
    let is_column = [
        "col",
        "column",
        "cols",
        "select",
        "group_by",
        "sort",
        "drop",
        "with_column",
        "by_name",
    ]
    .iter()
    .any(|name| {
        call.ends_with(name)
            || before[..quote]
                .rsplit('(')
                .nth(1)
                .is_some_and(|part| part.ends_with(name))
    });
    if !is_open || !is_column || typed.contains('\n') {
        return None;
    }
    let all = view
        .variables
        .values()
        .flat_map(|variable| variable.about["columns"].as_array().into_iter().flatten());
    let mut names: Vec<String> = all
        .filter_map(|column| column["name"].as_str())
        .filter(|name| name.starts_with(typed))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Some(Completions {
        start: quote + 1,
        end: cursor,
        matches: names
            .into_iter()
            .map(|name| (name, "column".to_owned()))
            .collect(),
    })
}

/// The beginning of a name that ends at byte `at`, where a name of the session can stand: behind no dot and no `::`, and in no
/// text or comment.
pub(crate) fn begun(code: &str, at: usize) -> Option<&str> {
    let before = &code[..at];
    let part = |c: char| c == '_' || c.is_alphanumeric();
    let start = before.trim_end_matches(part).len();
    let begun = &before[start..];
    let line = before[..start].rsplit('\n').next().unwrap_or_default();
    let is_text = line.matches('"').count() % 2 == 1 || line.contains("//");
    let is_of_another = line.ends_with(['.', ':', '\'']) && !line.ends_with("..");
    let is_name = begun.starts_with(|c: char| !c.is_numeric());
    (is_name && !is_text && !is_of_another).then_some(begun)
}

/// Variables of the session, where the name of one may be what is typed.
pub(super) fn variables(view: &View, code: &str, cursor: usize) -> Option<Completions> {
    let begun = begun(code, cursor)?;
    let names = view.variables.keys().filter(|name| name.starts_with(begun));
    let matches: Vec<_> = names
        .map(|name| (name.clone(), "instance".to_owned()))
        .collect();
    (!matches.is_empty()).then(|| Completions {
        start: cursor - begun.len(),
        end: cursor,
        matches,
    })
}

/// The frames of the session and their columns.
pub(super) fn frames(view: &View) -> Frames {
    let of = |variable: &Variable| {
        let columns = variable.about["columns"].as_array()?;
        let names = columns.iter().filter_map(|column| column["name"].as_str());
        Some(names.map(str::to_owned).collect::<Vec<_>>())
    };
    let frames = view.variables.iter();
    frames
        .filter_map(|(name, variable)| Some((name.clone(), of(variable)?)))
        .collect()
}

/// The identifier around byte `at`.
pub(super) fn name_at(code: &str, at: usize) -> &str {
    let part = |c: char| c == '_' || c.is_alphanumeric();
    let start = code[..at].rfind(|c| !part(c)).map_or(0, |found| {
        found + code[found..].chars().next().map_or(1, char::len_utf8)
    });
    let end = code[at..]
        .find(|c| !part(c))
        .map_or(code.len(), |found| at + found);
    &code[start..end]
}

/// The declaration of a variable and what is known of its value.
pub(super) fn describe(name: &str, variable: &Variable) -> Documentation {
    let kind = notes::short(&variable.kind);
    let mutable = if variable.mutable { "mut " } else { "" };
    let mut plain = format!("let {mutable}{name}: {kind}");
    let about = &variable.about;
    if let Some(text) = about["text"].as_str() {
        plain.extend(["\n", text]);
    }
    for column in about["columns"].as_array().into_iter().flatten() {
        let word = |name: &str| column[name].as_str().unwrap_or_default();
        plain.extend(["\n  ", word("name"), ": ", word("dtype")]);
    }
    if let Some(head) = about["head"].as_str() {
        plain.extend(["\n", head]);
    }
    let html = format!("<pre>{}</pre>", crate::display::escape::text(&plain));
    Documentation { plain, html }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_offered_where_one_is_named() {
        let mut view = View::default();
        let about = json!({ "columns": [{ "name": "city", "dtype": "str" }, { "name": "count", "dtype": "i64" }] });
        view.variables.insert(
            "df".to_owned(),
            Variable {
                about,
                ..Variable::default()
            },
        );
        let found = |code: &str| {
            columns(&view, code, code.len()).map(|found| {
                found
                    .matches
                    .into_iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(found("col(\"ci").unwrap(), ["city"]);
        assert_eq!(found("df.select([col(\"").unwrap(), ["city", "count"]);
        assert_eq!(found("df.column(\"co").unwrap(), ["count"]);
        assert_eq!(found("println!(\"c"), None);
        assert_eq!(found("col(\"city\").a"), None);
    }

    #[test]
    fn variables_are_offered_where_a_name_can_begin() {
        let mut view = View::default();
        for name in ["sales", "sum_of_all", "n"] {
            view.variables.insert(name.to_owned(), Variable::default());
        }
        let found = |code: &str| {
            let found = variables(&view, code, code.len());
            found.map_or_else(Vec::new, |found| {
                assert!("sn".contains(&code[found.start..=found.start]), "{code}");
                found.matches.into_iter().map(|(name, _)| name).collect()
            })
        };
        assert_eq!(found("let x = s"), ["sales", "sum_of_all"]);
        assert_eq!(found("f(sal"), ["sales"]);
        assert_eq!(found("0..n"), ["n"]);
        assert_eq!(found("if !n"), ["n"]);
        for none in [
            "sales.s", "std::s", "\"s", "// s", "4", "let x = ", "'s", "x",
        ] {
            assert!(found(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_name_is_found_from_any_of_its_letters() {
        for at in 4..=6 {
            assert_eq!(name_at("f + añb.c()", at), "añb", "{at}");
            if at == 5 {
                break;
            }
        }
        assert_eq!(name_at("df", 2), "df");
        assert_eq!(name_at("", 0), "");
    }
}
