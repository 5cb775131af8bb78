//! JSON: an object, an array or lines of objects, each with a text and maybe a title.

use serde_json::{Map, Value};

use super::Extracted;
use super::text::decode;
use crate::document::{Kind, Reason};

/// Fields that can hold the text, the best first.
const TEXT_FIELDS: &[&str] = &[
    "text",
    "body",
    "content",
    "contents",
    "full_text",
    "abstract",
    "summary",
    "paragraphs",
];
/// Fields that can hold the title.
const TITLE_FIELDS: &[&str] = &["title", "headline", "heading", "name"];
/// Fields that can hold the records.
const RECORD_FIELDS: &[&str] = &[
    "documents",
    "articles",
    "papers",
    "records",
    "items",
    "data",
];

/// Reads every record that has a text; a record without one is told in a remark of the first.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Extracted>, Reason> {
    let (text, mut remarks) = decode(bytes);
    let values = values(&text)?;
    let n_values = values.len();
    let mut records: Vec<Extracted> = values.iter().filter_map(record).collect();
    if records.len() < n_values {
        remarks.push(format!(
            "{} of {n_values} records have no text",
            n_values - records.len()
        ));
    }
    match records.first_mut() {
        Some(first) => first.remarks = remarks,
        None if n_values == 0 => return Err(Reason::Empty),
        None => {
            return Err(Reason::Broken(format!(
                "no record has a text: looked for {}",
                TEXT_FIELDS.join(", ")
            )));
        }
    }
    Ok(records)
}

/// The records of a file: of one value, or of one value a line.
fn values(text: &str) -> Result<Vec<Value>, Reason> {
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| Reason::Broken(error.to_string()))? {
            Value::Array(items) => values.extend(items),
            Value::Object(mut object) => match RECORD_FIELDS
                .iter()
                .find(|field| object.get(**field).is_some_and(Value::is_array))
            {
                Some(field) if first_text(&object, TEXT_FIELDS).is_none() => {
                    if let Some(Value::Array(items)) = object.remove(*field) {
                        values.extend(items);
                    }
                }
                _ => values.push(Value::Object(object)),
            },
            other => values.push(other),
        }
    }
    Ok(values)
}

fn record(value: &Value) -> Option<Extracted> {
    if let Value::String(text) = value {
        return (!text.trim().is_empty())
            .then(|| Extracted::plain(Kind::Json, None, text.clone(), Vec::new()));
    }
    let object = value.as_object()?;
    let text = first_text(object, TEXT_FIELDS)?;
    Some(Extracted::plain(
        Kind::Json,
        first_text(object, TITLE_FIELDS),
        text,
        Vec::new(),
    ))
}

/// The first of `fields` that holds text: a string, or an array of strings as paragraphs. Case is no matter.
fn first_text(object: &Map<String, Value>, fields: &[&str]) -> Option<String> {
    fields.iter().find_map(|field| {
        let (_, value) = object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(field))?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("\n\n"),
            _ => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, wanted: &[(Option<&str>, &str)]) {
        let records = read(json.as_bytes()).unwrap();
        let found: Vec<_> = records
            .iter()
            .map(|record| (record.title.as_deref(), record.original.as_str()))
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn objects_arrays_and_lines() {
        check(r#"{"title": "T", "text": "One."}"#, &[(Some("T"), "One.")]);
        check(
            r#"[{"headline": "T", "body": "One."}, "Two."]"#,
            &[(Some("T"), "One."), (None, "Two.")],
        );
        check(
            "{\"abstract\": \"One.\"}\n{\"Content\": [\"Two.\", \"Three.\"]}\n",
            &[(None, "One."), (None, "Two.\n\nThree.")],
        );
        check(
            r#"{"articles": [{"text": "One."}], "title": "all"}"#,
            &[(None, "One.")],
        );
        check(
            r#"{"text": "Whole.", "abstract": "Part."}"#,
            &[(None, "Whole.")],
        );
    }

    #[test]
    fn what_has_no_text_is_told() {
        let records = read(br#"[{"text": "One."}, {"id": 1}, {"text": ""}]"#).unwrap();
        assert_eq!(records[0].remarks, ["2 of 3 records have no text"]);
        assert!(matches!(read(br#"{"id": 1}"#), Err(Reason::Broken(_))));
        assert!(matches!(read(br#"{"text": "#), Err(Reason::Broken(_))));
        assert_eq!(read(b"[]").unwrap_err(), Reason::Empty);
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
    }
}
