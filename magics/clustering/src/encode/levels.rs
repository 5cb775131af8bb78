//! Which levels a column has, once rare ones are put together and missing values have a place.

use std::collections::HashMap;

use super::{EncodeOptions, Missing};
use crate::codes::Codes;
use crate::error::ClusteringError;
use crate::table::{Column, Table};

const OTHER: &str = "other";
const MISSING: &str = "missing";

/// A column of categories as it was when the encoder was fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) levels: Vec<String>,
    /// The code of each value that was seen, rare ones included.
    known: HashMap<String, u32>,
    other: Option<u32>,
    missing: Option<u32>,
}

/// The columns that tell rows apart; `notes` gets what was left out.
pub(super) fn questions(
    table: &Table,
    options: &EncodeOptions,
    notes: &mut Vec<String>,
) -> Vec<Question> {
    let all = table
        .columns
        .iter()
        .map(|column| Question::new(column, options, notes));
    let (kept, constant): (Vec<Question>, Vec<Question>) = all
        .collect::<Vec<_>>()
        .into_iter()
        .partition(|question| question.levels.len() > 1);
    note_constant(
        constant.iter().map(|question| question.name.as_str()),
        notes,
    );
    kept
}

/// Says which columns were left out because they are constant.
pub(super) fn note_constant<'a>(names: impl Iterator<Item = &'a str>, notes: &mut Vec<String>) {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => {}
        [name] => notes.push(format!("left out the constant column `{name}`")),
        _ => notes.push(format!(
            "left out {} constant columns: {}",
            names.len(),
            names.join(", ")
        )),
    }
}

impl Question {
    fn new(column: &Column, options: &EncodeOptions, notes: &mut Vec<String>) -> Question {
        let mut counts = vec![0_usize; column.levels.len()];
        for &code in column.codes.iter().filter(|&&code| code != Codes::MISSING) {
            counts[code as usize] += 1;
        }
        let fewest = (options.rare * column.codes.len() as f64).max(options.rare_count as f64);
        let rare = |count: usize| count > 0 && (count as f64) < fewest;
        let n_rare = counts.iter().filter(|&&count| rare(count)).count();
        // One rare level alone would only lose its name.
        let group = n_rare > 1;
        let mut question = Question {
            name: column.name.clone(),
            levels: Vec::new(),
            known: HashMap::new(),
            other: None,
            missing: None,
        };
        for (level, &count) in column
            .levels
            .iter()
            .zip(&counts)
            .filter(|&(_, &count)| count > 0 && !(group && rare(count)))
        {
            debug_assert!(count > 0);
            let code = question.push(level);
            question.known.insert(level.clone(), code);
        }
        if group {
            notes.push(format!(
                "{n_rare} rare levels of `{}` became `{OTHER}`",
                column.name
            ));
            let other = question.push(OTHER);
            question.other = Some(other);
            for (level, _) in column
                .levels
                .iter()
                .zip(&counts)
                .filter(|&(_, &count)| rare(count))
            {
                question.known.insert(level.clone(), other);
            }
        }
        if options.missing == Missing::Level && column.codes.contains(&Codes::MISSING) {
            question.missing = Some(question.push(MISSING));
        }
        question
    }

    /// Codes of the rows of `table` in this column.
    pub(super) fn recode(&self, table: &Table) -> Result<Vec<u32>, ClusteringError> {
        let found = table.columns.iter().find(|column| column.name == self.name);
        let column = found.ok_or_else(|| ClusteringError::MissingColumn {
            column: self.name.clone(),
        })?;
        let missing = self.missing.unwrap_or(Codes::MISSING);
        let other = self.other.unwrap_or(missing);
        let new: Vec<u32> = column
            .levels
            .iter()
            .map(|level| self.known.get(level).copied().unwrap_or(other))
            .collect();
        Ok(column
            .codes
            .iter()
            .map(|&code| new.get(code as usize).copied().unwrap_or(missing))
            .collect())
    }

    fn push(&mut self, level: &str) -> u32 {
        self.levels.push(level.to_owned());
        self.levels.len() as u32 - 1
    }
}
