//! From the text of a filter to its meaning in an index.

use std::ops::Range;

use super::token::{Token, Word, tokens};
use super::{BUILT_IN, Column, Filter, Test};
use crate::date::Date;
use crate::error::SearchError;
use crate::item::Kind;

const OPERATORS: [&str; 10] = ["=", "!=", "<", "<=", ">", ">=", "~", "!~", "in", "exists"];
/// Parentheses and `not` inside each other; more would be no filter that a person wrote.
const DEEPEST: usize = 64;

/// Reads a filter against the fields of an index, in the order of their columns.
pub(crate) fn parse(filter: &str, fields: &[(String, Kind)]) -> Result<Filter, SearchError> {
    let failed = |(at, what, known): Wrong| SearchError::Filter {
        filter: filter.to_owned(),
        at,
        what,
        known,
    };
    let tokens = tokens(filter).map_err(|(at, what)| failed((at, what, Vec::new())))?;
    let mut parser = Parser {
        tokens,
        next: 0,
        depth: 0,
        end: filter.len(),
        fields,
    };
    let parsed = parser.any().map_err(failed)?;
    match parser.tokens.get(parser.next) {
        None => Ok(parsed),
        Some(token) => {
            let what = "expected `and`, `or` or the end".to_owned();
            Err(failed((
                token.at.clone(),
                what,
                vec!["and".to_owned(), "or".to_owned()],
            )))
        }
    }
}

/// Where, what, and what is known there.
type Wrong = (Range<usize>, String, Vec<String>);

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    end: usize,
    fields: &'a [(String, Kind)],
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Filter, Wrong> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Filter::Or(parts)
        })
    }

    fn all(&mut self) -> Result<Filter, Wrong> {
        let mut parts = vec![self.one()?];
        while self.keyword("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Filter::And(parts)
        })
    }

    fn one(&mut self) -> Result<Filter, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err((
                self.here(),
                format!("more than {DEEPEST} levels of parentheses"),
                Vec::new(),
            ));
        }
        let filter = if self.keyword("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    /// A field, an operator and what it is compared with.
    fn test(&mut self) -> Result<Filter, Wrong> {
        let (name_at, column, name) = self.column()?;
        let at = self.here();
        if self.keyword("exists") {
            return Ok(Filter::Test(column, Test::Exists));
        }
        if self.keyword("in") {
            self.expect("(")?;
            let mut parts = Vec::new();
            loop {
                parts.push(Filter::Test(
                    column.clone(),
                    self.value(&column, &name, "=")?,
                ));
                if !self.sign(",") {
                    break;
                }
            }
            self.expect(")")?;
            return Ok(Filter::Or(parts));
        }
        let sign = match self.peek() {
            Some(Word::Sign(sign)) if !["(", ")", ","].contains(sign) => *sign,
            _ => {
                let place = if self.next < self.tokens.len() {
                    at
                } else {
                    name_at
                };
                return Err((
                    place,
                    format!("expected an operator after `{name}`"),
                    listed(&OPERATORS),
                ));
            }
        };
        self.next += 1;
        let (positive, negated) = match sign {
            "!=" | "<>" => ("=", true),
            "!~" => ("~", true),
            "==" => ("=", false),
            other => (other, false),
        };
        if positive == "~" && column.kind != Kind::Text {
            let what = format!("`~` is for texts, and `{name}` is a {}", column.kind);
            return Err((at, what, listed(&["=", "!=", "<", "<=", ">", ">="])));
        }
        let test = Filter::Test(column.clone(), self.value(&column, &name, positive)?);
        Ok(if negated {
            Filter::Not(Box::new(test))
        } else {
            test
        })
    }

    fn column(&mut self) -> Result<(Range<usize>, Column, String), Wrong> {
        let known = || {
            let names = self.fields.iter().map(|(name, _)| name.as_str());
            BUILT_IN
                .into_iter()
                .chain(names)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let at = self.here();
        let Some(Word::Name { name, .. }) = self.peek() else {
            return Err((at, "expected the name of a field".to_owned(), known()));
        };
        let place = self.fields.iter().position(|(known, _)| known == name);
        let (path, kind) = match place {
            Some(place) => (format!("fields.f{place}"), self.fields[place].1),
            None if BUILT_IN.contains(&name.as_str()) => (name.clone(), Kind::Text),
            None => return Err((at, format!("no field named `{name}`"), known())),
        };
        let name = name.clone();
        self.next += 1;
        Ok((at, Column { path, kind }, name))
    }

    /// What the value of a column must be, from the next literal.
    fn value(&mut self, column: &Column, name: &str, sign: &str) -> Result<Test, Wrong> {
        let at = self.here();
        let Some(word) = self.peek().cloned() else {
            return Err((at, format!("expected a value after `{sign}`"), Vec::new()));
        };
        let wrong = |what: String| Err((at.clone(), what, Vec::new()));
        let test = match (column.kind, &word) {
            (Kind::Text, Word::Text(text)) => Ok(text_test(text, sign)),
            (Kind::Number, Word::Number(digits)) => match digits.replace('_', "").parse() {
                Ok(number) => Ok(number_test(number, number, sign)),
                Err(_) => return wrong(format!("no number: `{digits}`")),
            },
            (Kind::Date, Word::Number(text) | Word::Text(text)) => match dates(text) {
                Some((first, last)) => Ok(number_test(first as f64, last as f64, sign)),
                None => return wrong(format!("no date: `{text}`; write it like 2024-05-01")),
            },
            (Kind::Bool, Word::Name { name: truth, .. }) => {
                match (truth.to_lowercase().as_str(), sign) {
                    (truth @ ("true" | "false"), "=") => Ok(Test::Truth(truth == "true")),
                    ("true" | "false", _) => {
                        return wrong(format!("truth values have no order for `{sign}`"));
                    }
                    _ => Err("write true or false".to_owned()),
                }
            }
            (Kind::Text, Word::Name { name, .. }) => {
                Err(format!("write texts in quotes: \"{name}\""))
            }
            (Kind::Text, Word::Number(text)) => Err(format!("write texts in quotes: \"{text}\"")),
            _ => Err("it cannot be compared with this".to_owned()),
        };
        self.next += 1;
        test.or_else(|what| wrong(format!("`{name}` is a {}; {what}", column.kind)))
    }

    fn peek(&self) -> Option<&Word> {
        self.tokens.get(self.next).map(|token| &token.what)
    }

    /// Where the next word is; one place at the end if there is none.
    fn here(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.end..self.end, |token| token.at.clone())
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Name { name, quoted: false }) if name.eq_ignore_ascii_case(keyword));
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Sign(found)) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Wrong> {
        if self.sign(sign) {
            return Ok(());
        }
        Err((self.here(), format!("expected `{sign}`"), Vec::new()))
    }
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// What a number must be that is compared with everything from `first` to `last`.
fn number_test(first: f64, last: f64, sign: &str) -> Test {
    match sign {
        "<" => Test::Between(f64::NEG_INFINITY, first.next_down()),
        "<=" => Test::Between(f64::NEG_INFINITY, last),
        ">" => Test::Between(last.next_up(), f64::INFINITY),
        ">=" => Test::Between(first, f64::INFINITY),
        _ => Test::Between(first, last),
    }
}

fn text_test(text: &str, sign: &str) -> Test {
    let end = |included| Some((text.to_owned(), included));
    let (from, to) = match sign {
        "~" => return Test::Contains(text.to_lowercase()),
        "<" => (None, end(false)),
        "<=" => (None, end(true)),
        ">" => (end(false), None),
        ">=" => (end(true), None),
        _ => return Test::Is(text.to_lowercase()),
    };
    Test::Text { from, to }
}

/// First and last second of a year, a day or a second.
fn dates(text: &str) -> Option<(i64, i64)> {
    let start = |text: &str| Date::parse(text).ok().map(|date| date.0);
    if text.len() == 4 {
        let year: i32 = text.parse().ok()?;
        return Some((
            start(&format!("{year:04}-01-01"))?,
            start(&format!("{year:04}-12-31"))? + 86_399,
        ));
    }
    let first = start(text)?;
    Some((
        first,
        if text.contains(':') {
            first
        } else {
            first + 86_399
        },
    ))
}
