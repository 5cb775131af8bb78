//! The fields of a JSON object, taken out one by one, with errors that name file and field.

use std::path::Path;

use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::{Mode, PriceError};

/// A token that costs more than this was surely priced by the thousand or by the million.
const DEAREST_TOKEN: f64 = 0.01;

/// The fields of a JSON object that were not looked at yet, and where the object is.
pub(crate) struct Fields<'a> {
    file: &'a str,
    /// Names of the objects around it, each with a dot behind it.
    place: String,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of the object that is a whole file.
    pub(crate) fn parse(file: &'a str, text: &str) -> Result<Self, PriceError> {
        let map = serde_json::from_str(text).map_err(|source| PriceError::Json {
            file: file.to_owned(),
            source,
        })?;
        Ok(Self {
            file,
            place: String::new(),
            map,
        })
    }

    /// An error about one field.
    pub(crate) fn wrong(&self, name: &str, problem: impl Into<String>) -> PriceError {
        let field = format!("{}{name}", self.place);
        PriceError::Field {
            file: self.file.to_owned(),
            field,
            problem: problem.into(),
        }
    }

    /// A field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        get: impl FnOnce(&mut Self, &str) -> Result<Option<T>, PriceError>,
    ) -> Result<T, PriceError> {
        get(self, name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, PriceError> {
        let place = format!("{}{name}.", self.place);
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self {
                file: self.file,
                place,
                map,
            })),
            Some(other) => Err(self.wrong(name, format!("must be an object: {other}"))),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, PriceError> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, format!("must be a text: {other}"))),
        }
    }

    /// A number from zero up.
    pub(crate) fn amount(&mut self, name: &str) -> Result<Option<f64>, PriceError> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(amount) if amount >= 0.0 => Ok(Some(amount)),
                _ => Err(self.wrong(name, format!("must be a number from zero up: {value}"))),
            },
        }
    }

    /// An error about the first field that nobody asked for: a misspelt price must not count as none.
    pub(crate) fn finish(&self) -> Result<(), PriceError> {
        self.map
            .keys()
            .next()
            .map_or(Ok(()), |name| Err(self.wrong(name, "is unknown")))
    }

    /// The names of all that are left.
    pub(super) fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    /// A price in dollars per token.
    pub(super) fn per_token(&mut self, name: &str) -> Result<Option<f64>, PriceError> {
        match self.amount(name)? {
            Some(dear) if dear > DEAREST_TOKEN => Err(self.wrong(
                name,
                format!("must be in dollars per token, and no token costs {dear}"),
            )),
            price => Ok(price),
        }
    }

    /// A whole number.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, PriceError> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(self.wrong(name, format!("must be a whole number: {value}"))),
            },
        }
    }

    /// A day.
    pub(super) fn date(&mut self, name: &str) -> Result<Option<NaiveDate>, PriceError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d");
        date.map(Some)
            .map_err(|_| self.wrong(name, format!("must be a date such as 2026-11-23: {text}")))
    }

    /// What a model does; it chats when nothing is said.
    pub(super) fn mode(&mut self, name: &str) -> Result<Mode, PriceError> {
        match self.text(name)?.as_deref() {
            None | Some("chat") => Ok(Mode::Chat),
            Some("completion") => Ok(Mode::Completion),
            Some("embedding") => Ok(Mode::Embedding),
            Some(other) => Err(self.wrong(
                name,
                format!("must be chat, completion or embedding: {other}"),
            )),
        }
    }
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, PriceError> {
    std::fs::read_to_string(path).map_err(|source| PriceError::Read {
        path: path.to_owned(),
        source,
    })
}
