//! A request's JSON object, read field by field, so that each error names its field.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// The fields of a request. `null` is as good as absent, and fields that nobody reads are ignored.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of `body`, which must be an object.
    pub(crate) fn of(body: &'a Value) -> Result<Self, Refusal> {
        let object = body.as_object().ok_or_else(|| {
            Refusal::invalid(
                "body",
                format!("the body must be a JSON object, not {}", shown(body)),
            )
        })?;
        Ok(Self { object })
    }

    /// The value of a field that is there.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&'a Value, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::invalid(name, format!("`{name}` is missing")))
    }

    /// A field that is true or false; false when it is not there.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| wrong(name, "true or false", value)),
        }
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| wrong(name, "a string", value)))
            .transpose()
    }

    /// A number within `range`.
    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value
            .as_f64()
            .ok_or_else(|| wrong(name, "a number", value))?;
        if range.contains(&number) {
            Ok(Some(number))
        } else {
            Err(outside(name, range.start(), range.end(), &number))
        }
    }

    /// A whole number within `range`.
    pub(crate) fn count(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = whole(value).ok_or_else(|| wrong(name, "a whole number", value))?;
        if range.contains(&number) {
            Ok(Some(number))
        } else {
            Err(outside(name, range.start(), range.end(), &number))
        }
    }

    /// Refuses each of `names` that is there and not empty.
    pub(crate) fn refuse(&self, names: &[&str], why: &str) -> Result<(), Refusal> {
        for name in names {
            let asks = match self.get(name) {
                None | Some(Value::Bool(false)) => false,
                Some(Value::Array(items)) => !items.is_empty(),
                Some(_) => true,
            };
            if asks {
                return Err(Refusal::unsupported(
                    *name,
                    format!("`{name}` is not supported: {why}"),
                ));
            }
        }
        Ok(())
    }
}

/// The refusal of a field that is not `wanted`.
pub(crate) fn wrong(name: &str, wanted: &str, found: &Value) -> Refusal {
    Refusal::invalid(
        name,
        format!("`{name}` must be {wanted}, not {}", shown(found)),
    )
}

fn outside(
    name: &str,
    least: &impl std::fmt::Display,
    most: &impl std::fmt::Display,
    found: &impl std::fmt::Display,
) -> Refusal {
    Refusal::invalid(
        name,
        format!("`{name}` must be from {least} to {most}: {found}"),
    )
}

/// A whole number, also one that some client writes as `2.0`.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        let fits = number.fract() == 0.0 && number.abs() < 9e15;
        fits.then_some(number as i64)
    })
}

/// Letters of a wrong value that are shown.
const SHOWN: usize = 40;

/// A value as an error shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > SHOWN => "a long string".to_owned(),
        short => short.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_error_names_its_field() {
        let body = json!({ "t": 3, "s": 5, "n": 1.5, "k": 2.0, "none": null, "tools": [{}] });
        let fields = Fields::of(&body).unwrap();
        let message = |refusal: Refusal| refusal.message;
        assert_eq!(
            message(fields.number("t", 0.0..=2.0).unwrap_err()),
            "`t` must be from 0 to 2: 3"
        );
        assert_eq!(
            message(fields.text("s").unwrap_err()),
            "`s` must be a string, not 5"
        );
        assert_eq!(
            message(fields.count("n", 0..=9).unwrap_err()),
            "`n` must be a whole number, not 1.5"
        );
        assert_eq!(fields.count("k", 0..=9).unwrap(), Some(2));
        assert_eq!(fields.text("none").unwrap(), None);
        assert_eq!(
            message(fields.required("none").unwrap_err()),
            "`none` is missing"
        );
        let refused = fields.refuse(&["none", "tools"], "no tools here");
        assert_eq!(refused.unwrap_err().body()["error"]["param"], "tools");
        assert!(Fields::of(&json!([1])).is_err());
    }
}
