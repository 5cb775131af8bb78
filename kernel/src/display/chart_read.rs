//! Reads plotly's JSON: traces, titles, colours and values, whatever their form.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;

use super::palette;

/// One value of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Datum {
    Number(f64),
    Text(String),
    Missing,
}

impl Datum {
    fn of(value: &Value) -> Self {
        match value {
            Value::Number(number) => number.as_f64().map_or(Self::Missing, Self::Number),
            Value::String(text) => Self::Text(plain(text)),
            Value::Bool(truth) => Self::Text(truth.to_string()),
            _ => Self::Missing,
        }
    }

    /// The number, also when it is written as text.
    pub(crate) fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Missing => return None,
        };
        number.is_finite().then_some(number)
    }

    /// Seconds since 1970 when it is written as a date.
    pub(crate) fn date(&self) -> Option<f64> {
        match self {
            Self::Text(text) => date(text.trim()),
            _ => None,
        }
    }

    /// The value as it is named on an axis.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Missing => None,
        }
    }
}

/// A trace and how it is named and coloured.
pub(crate) struct Trace<'a> {
    /// All that plotly says about it.
    pub(crate) json: &'a Value,
    /// plotly's word for its kind.
    pub(crate) kind: &'a str,
    /// Its name in the legend.
    pub(crate) name: String,
    /// Whether the name is the user's.
    pub(crate) named: bool,
    /// Its colour, in a form that needs no escaping.
    pub(crate) colour: String,
}

impl Trace<'_> {
    /// The values under `key`.
    pub(crate) fn data(&self, key: &str) -> Vec<Datum> {
        data(&self.json[key])
    }

    /// The word under `pointer`, empty where there is none.
    pub(crate) fn word(&self, pointer: &str) -> &str {
        self.json
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    /// The finite number under `pointer`.
    pub(crate) fn number(&self, pointer: &str) -> Option<f64> {
        self.json.pointer(pointer).and_then(Value::as_f64)
    }

    /// How much of what lies behind is hidden.
    pub(crate) fn opacity(&self) -> f64 {
        let own = self.number("/marker/opacity");
        (own.unwrap_or(1.0) * self.number("/opacity").unwrap_or(1.0)).clamp(0.0, 1.0)
    }

    /// Whether bars and boxes lie.
    pub(crate) fn lies(&self) -> bool {
        match self.word("/orientation") {
            "h" => true,
            "v" => false,
            _ => {
                self.json["y"].is_array() != self.json["x"].is_array()
                    && self.json["x"].is_array()
                    && self.kind == "box"
                    || self.kind == "histogram" && !self.json["x"].is_array()
            }
        }
    }
}

/// The traces that are to be seen.
pub(crate) fn traces(plot: &Value) -> Vec<Trace<'_>> {
    let all = plot["data"].as_array().map_or(&[][..], Vec::as_slice);
    let seen = all.iter().filter(|json| json["visible"] != false);
    let colourway = &plot["layout"]["colorway"];
    seen.enumerate()
        .map(|(i, json)| {
            let own = ["/marker/color", "/line/color"];
            let own = own.iter().find_map(|at| colour(json.pointer(at)?));
            let given = colourway.as_array().filter(|list| !list.is_empty());
            let given = given.and_then(|list| colour(&list[i % list.len()]));
            let ours = palette::COMMUNITIES[i % palette::COMMUNITIES.len()];
            let name = title(&json["name"]);
            Trace {
                json,
                kind: json["type"].as_str().unwrap_or("scatter"),
                named: !name.is_empty(),
                name: if name.is_empty() {
                    format!("trace {i}")
                } else {
                    name
                },
                colour: own.or(given).unwrap_or_else(|| ours.to_owned()),
            }
        })
        .collect()
}

/// The values of an array; a single value counts as one.
pub(crate) fn data(value: &Value) -> Vec<Datum> {
    match value {
        Value::Array(list) => list.iter().map(Datum::of).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
        one => vec![Datum::of(one)],
    }
}

/// A colour that is safe inside an attribute.
pub(crate) fn colour(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let safe = |c: char| c.is_ascii_alphanumeric() || "#(),.% ".contains(c);
    let known = text.starts_with(|c: char| c == '#' || c.is_ascii_alphabetic());
    (known && text.len() <= 40 && text.chars().all(safe) && !text.starts_with("url"))
        .then(|| text.to_owned())
}

/// A title, which plotly writes as text or as an object with the text.
pub(crate) fn title(value: &Value) -> String {
    let text = value.as_str().or_else(|| value["text"].as_str());
    plain(text.unwrap_or("")).trim().to_owned()
}

/// `text` without the few tags that plotly understands.
fn plain(text: &str) -> String {
    const TAGS: [&str; 12] = [
        "<b>", "</b>", "<i>", "</i>", "<em>", "</em>", "<sup>", "</sup>", "<sub>", "</sub>",
        "<span>", "</span>",
    ];
    if !text.contains('<') {
        return text.to_owned();
    }
    let text = text.replace("<br>", " ").replace("<br/>", " ");
    TAGS.iter().fold(text, |text, tag| text.replace(tag, ""))
}

/// Forms of dates with a time.
const FORMS: [&str; 4] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
];

/// Seconds since 1970 of a date in a form that plotly understands.
fn date(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digits = bytes.len() >= 7 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    if !digits {
        return None;
    }
    let seconds = |at: NaiveDateTime| {
        let at = at.and_utc();
        at.timestamp() as f64 + f64::from(at.timestamp_subsec_micros()) / 1e6
    };
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(seconds(at.naive_local()));
    }
    let whole = FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let month = || NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok();
    let day = || day().or_else(month)?.and_hms_opt(0, 0, 0);
    whole.or_else(day).map(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_have_many_forms() {
        let read = data(&json!([1, "2.5", null, "<b>a</b>", true]));
        assert_eq!(read[1].number(), Some(2.5));
        assert_eq!(read[2], Datum::Missing);
        assert_eq!(read[3].name().as_deref(), Some("a"));
        assert_eq!(read[4].name().as_deref(), Some("true"));
        assert!(data(&json!(null)).is_empty());
    }

    #[test]
    fn dates_are_seconds() {
        let at = |text: &str| Datum::Text(text.to_owned()).date();
        assert_eq!(at("1970-01-02"), Some(86_400.0));
        assert_eq!(at("1970-01-01 00:01"), Some(60.0));
        assert_eq!(at("1970-01-01T00:00:01.500"), Some(1.5));
        assert_eq!(at("1970-02"), Some(31.0 * 86_400.0));
        assert_eq!(at("not a date"), None);
    }

    #[test]
    fn a_colour_cannot_leave_its_attribute() {
        assert_eq!(
            colour(&json!("rgba(1, 2, 3, 0.5)")).as_deref(),
            Some("rgba(1, 2, 3, 0.5)")
        );
        assert_eq!(colour(&json!("red\" onload=\"x")), None);
        assert_eq!(colour(&json!("url(http://x)")), None);
    }
}
