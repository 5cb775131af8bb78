//! Reads price lists from JSON files.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::fields::{self, Fields};
use super::{LongPrice, Price, PriceError, PriceList};
use crate::local::RATES_FILE;

/// The lists in the `*.json` files of a folder, in the order of the files' names.
pub(super) fn folder(dir: &Path) -> Result<Vec<PriceList>, PriceError> {
    let refused = |source| PriceError::Read {
        path: dir.to_owned(),
        source,
    };
    let entries = match dir.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        // The local rates may lie in the same folder.
        let is_list =
            path.extension().is_some_and(|end| end == "json") && !path.ends_with(RATES_FILE);
        if is_list && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files_of_ids = BTreeMap::new();
    let mut lists = Vec::with_capacity(paths.len());
    for path in paths {
        let file = path.display().to_string();
        let list = list(&file, &fields::text(&path)?)?;
        if let Some(other) = files_of_ids.insert(list.id.clone(), file.clone()) {
            return Err(PriceError::Field {
                file,
                field: "id".into(),
                problem: format!("is also that of `{other}`"),
            });
        }
        lists.push(list);
    }
    Ok(lists)
}

/// Reads one list. The file is only named, in errors.
pub(super) fn list(file: &str, text: &str) -> Result<PriceList, PriceError> {
    let mut fields = Fields::parse(file, text)?;
    let id = fields.required("id", Fields::text)?;
    if id.is_empty() {
        return Err(fields.wrong("id", "is empty"));
    }
    let date = fields.required("date", Fields::date)?;
    let source = fields.text("source")?.unwrap_or_default();
    let licence = fields.text("licence")?.unwrap_or_default();
    let mut priced = fields.required("models", Fields::object)?;
    let mut models = BTreeMap::new();
    for model in priced.names() {
        let known = models.insert(
            model.to_lowercase(),
            price(priced.required(&model, Fields::object)?)?,
        );
        if known.is_some() {
            return Err(priced.wrong(&model, "is there twice, but for capital letters"));
        }
    }
    fields.finish()?;
    Ok(PriceList {
        id,
        date,
        source,
        licence,
        models,
    })
}

fn price(mut fields: Fields) -> Result<Price, PriceError> {
    let price = Price {
        input: fields.required("in", Fields::per_token)?,
        output: fields.required("out", Fields::per_token)?,
        cached: fields.per_token("cached")?,
        batch_input: fields.per_token("batch_in")?,
        batch_output: fields.per_token("batch_out")?,
        batch_cached: fields.per_token("batch_cached")?,
        long: long(&mut fields)?,
        max_input: fields.count("max_in")?,
        max_output: fields.count("max_out")?,
        provider: fields.text("provider")?.unwrap_or_default().to_lowercase(),
        mode: fields.mode("mode")?,
        source: fields.text("source")?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(price)
}

fn long(fields: &mut Fields) -> Result<Option<LongPrice>, PriceError> {
    let Some(above) = fields.count("long_from")? else {
        return Ok(None);
    };
    Ok(Some(LongPrice {
        above,
        input: fields.required("long_in", Fields::per_token)?,
        output: fields.required("long_out", Fields::per_token)?,
        cached: fields.per_token("long_cached")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::*;

    const GOOD: &str = r#"{ "id": "mine", "date": "2026-12-01", "models": { "Own-1": { "in": 1e-6, "out": 2e-6 } } }"#;

    /// The error when the good list has `to` in place of `from`, without the file's name.
    fn check(from: &str, to: &str, problem: &str) {
        assert!(GOOD.contains(from), "{from}");
        let error = list("mine.json", &GOOD.replace(from, to)).unwrap_err();
        assert_eq!(error.to_string(), format!("`mine.json`{problem}"));
    }

    /// The same, for a field of the only model.
    fn check_price(from: &str, to: &str, field: &str, problem: &str) {
        check(
            from,
            to,
            &format!(": field `models.Own-1.{field}` {problem}"),
        );
    }

    #[test]
    fn a_short_list_is_enough() {
        let list = list("mine.json", GOOD).unwrap();
        let price = &list.models["own-1"];
        let prices = format!("{:e} {:e}", price.input, price.output);
        assert_eq!(
            (list.id.as_str(), price.mode, prices.as_str()),
            ("mine", Mode::Chat, "1e-6 2e-6")
        );
    }

    #[test]
    fn errors_name_the_file_and_a_field_of_the_list() {
        check(r#""id": "mine", "#, "", ": field `id` is missing");
        check(r#""mine""#, r#""""#, ": field `id` is empty");
        check(
            "2026-12-01",
            "1 May",
            ": field `date` must be a date such as 2026-11-23: 1 May",
        );
        check(
            r#"{ "in": 1e-6, "out": 2e-6 }"#,
            "7",
            ": field `models.Own-1` must be an object: 7",
        );
        let twice = r#""own-1": { "in": 0, "out": 0 }, "Own-1""#;
        check(
            r#""Own-1""#,
            twice,
            ": field `models.Own-1` is there twice, but for capital letters",
        );
        check(
            "} } }",
            "} }",
            " is not JSON: EOF while parsing an object at line 1 column 88",
        );
    }

    #[test]
    fn errors_name_the_file_and_a_field_of_a_price() {
        check_price(r#""in": 1e-6, "#, "", "in", "is missing");
        check_price(
            "1e-6",
            "-1e-6",
            "in",
            "must be a number from zero up: -1e-6",
        );
        check_price(
            "1e-6",
            r#""a""#,
            "in",
            r#"must be a number from zero up: "a""#,
        );
        check_price(
            "1e-6",
            "2.5",
            "in",
            "must be in dollars per token, and no token costs 2.5",
        );
        check_price("2e-6", r#"2e-6, "chached": 1e-7"#, "chached", "is unknown");
        check_price(
            "2e-6",
            r#"2e-6, "max_in": 1.5"#,
            "max_in",
            "must be a whole number: 1.5",
        );
        check_price(
            "2e-6",
            r#"2e-6, "mode": "talk""#,
            "mode",
            "must be chat, completion or embedding: talk",
        );
        check_price("2e-6", r#"2e-6, "long_in": 1e-6"#, "long_in", "is unknown");
        check_price(
            "2e-6",
            r#"2e-6, "long_from": 9, "long_in": 0"#,
            "long_out",
            "is missing",
        );
    }
}
