//! Rows that are answers to questions: one code an answer, never one column a level.

mod coarse;
mod counts;
mod points;
mod product;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::error::ClusteringError;
pub(crate) use coarse::Coarse;
pub(crate) use counts::{Counts, Move};

/// Rows of answers, in the space of their one-hot columns.
///
/// Row `i` stands for the vector that has, for each question answered with level `v`, `scale[v]·e(v) − centre` in the
/// question's columns, and zeros for a question without an answer; numeric columns follow. Memory: two bytes an answer
/// (four when a question has more than 65,534 levels).
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    n_rows: usize,
    /// First one-hot column of each question, and their number at the end.
    offsets: Vec<usize>,
    answers: Answers,
    scale: Option<Vec<f32>>,
    centre: Option<Vec<f32>>,
    numeric: Vec<Vec<f32>>,
}

/// Codes, column by column; a missing answer has the code after the last level.
#[derive(Debug, Clone, PartialEq)]
enum Answers {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Codes {
    /// The code of a question that was not answered.
    pub const MISSING: u32 = u32::MAX;

    /// Takes `columns[question][row]`, each below `levels[question]` or [`Codes::MISSING`].
    pub fn new(columns: &[Vec<u32>], levels: &[usize]) -> Result<Codes, ClusteringError> {
        let n_rows = columns.first().map_or(0, Vec::len);
        Codes::build(n_rows, columns.len(), levels, |question, row| {
            columns[question].get(row).copied()
        })
        .and_then(
            |codes| match columns.iter().find(|column| column.len() != n_rows) {
                Some(column) => Err(shape("rows of a column", column.len(), n_rows)),
                None => Ok(codes),
            },
        )
    }

    /// Takes row-major `n × q` codes; `u16::MAX` is a missing answer.
    pub fn from_rows(codes: &[u16], levels: &[usize]) -> Result<Codes, ClusteringError> {
        let questions = levels.len();
        let n_rows = codes.len().checked_div(questions).unwrap_or(0);
        if n_rows * questions != codes.len() {
            return Err(shape("codes", codes.len(), n_rows * questions));
        }
        Codes::build(n_rows, questions, levels, |question, row| {
            match codes[row * questions + question] {
                u16::MAX => Some(Codes::MISSING),
                code => Some(u32::from(code)),
            }
        })
    }

    /// Whether the rows are answers and nothing else: not centred, without amounts beside them.
    pub fn is_plain(&self) -> bool {
        self.centre.is_none() && self.numeric.is_empty()
    }

    /// The factors of the one-hot columns; none where all are 1.
    pub fn factors(&self) -> Option<&[f32]> {
        self.scale.as_deref()
    }

    /// Multiplies the one-hot columns by `scale`, one factor a column.
    pub fn scaled(mut self, scale: &[f32]) -> Result<Codes, ClusteringError> {
        if scale.len() != self.one_hot() {
            return Err(shape("factors", scale.len(), self.one_hot()));
        }
        self.scale = Some(scale.to_vec());
        self.centre = None;
        Ok(self)
    }

    /// Subtracts the mean of the answers, so that a missing answer stands at the mean; numeric columns stay as they are.
    #[must_use]
    pub fn centred(self) -> Codes {
        let counts = self.counts();
        let mut centre = vec![0.0; self.one_hot()];
        for question in 0..self.questions() {
            let columns = self.columns(question);
            let answered: u64 = counts[columns.clone()].iter().sum();
            for column in columns {
                centre[column] = (f64::from(self.factor(column)) * counts[column] as f64
                    / answered.max(1) as f64) as f32;
            }
        }
        Codes {
            centre: Some(centre),
            ..self
        }
    }

    /// Subtracts `centre`, one value a one-hot column, wherever the question is answered.
    pub fn centred_at(self, centre: &[f32]) -> Result<Codes, ClusteringError> {
        if centre.len() != self.one_hot() {
            return Err(shape("centre", centre.len(), self.one_hot()));
        }
        Ok(Codes {
            centre: Some(centre.to_vec()),
            ..self
        })
    }

    /// Appends numeric columns, each with one finite value a row.
    pub fn with_numeric(mut self, columns: Vec<Vec<f32>>) -> Result<Codes, ClusteringError> {
        if self.questions() == 0 {
            self.n_rows = columns.first().map_or(0, Vec::len);
        }
        for (column, values) in columns.iter().enumerate() {
            if values.len() != self.n_rows {
                return Err(shape("rows of a numeric column", values.len(), self.n_rows));
            }
            if let Some(row) = values.iter().position(|value| !value.is_finite()) {
                let n_rows = values.iter().filter(|value| !value.is_finite()).count();
                return Err(ClusteringError::NotFinite {
                    n_rows,
                    row,
                    column: self.one_hot() + column,
                    value: values[row],
                });
            }
        }
        self.numeric = columns;
        Ok(self)
    }

    /// The same columns for some of the rows, in the order given, repetitions allowed.
    ///
    /// # Panics
    /// When a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Codes {
        fn pick<T: Copy>(from: &[T], n_rows: usize, rows: &[usize]) -> Vec<T> {
            from.chunks(n_rows.max(1))
                .flat_map(|column| rows.iter().map(|&row| column[row]))
                .collect()
        }
        let answers = match &self.answers {
            Answers::Narrow(codes) => Answers::Narrow(pick(codes, self.n_rows, rows)),
            Answers::Wide(codes) => Answers::Wide(pick(codes, self.n_rows, rows)),
        };
        let numeric = self
            .numeric
            .iter()
            .map(|column| pick(column, self.n_rows, rows))
            .collect();
        Codes {
            n_rows: rows.len(),
            answers,
            numeric,
            ..self.clone_columns()
        }
    }

    /// Questions.
    pub fn questions(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Levels of a question.
    pub fn levels(&self, question: usize) -> usize {
        self.offsets[question + 1] - self.offsets[question]
    }

    /// First one-hot column of a question.
    pub fn offset(&self, question: usize) -> usize {
        self.offsets[question]
    }

    /// One-hot columns: all levels of all questions.
    pub fn one_hot(&self) -> usize {
        self.offsets[self.questions()]
    }

    /// The answer of a row to a question.
    pub fn code(&self, row: usize, question: usize) -> Option<u32> {
        let code = self.raw(row, question);
        (code < self.levels(question)).then_some(code as u32)
    }

    /// Rows with each level, for all questions one after the other.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.one_hot()];
        for question in 0..self.questions() {
            let counts = &mut counts[self.offsets[question]..self.offsets[question + 1]];
            self.each_answer(question, |code| {
                if let Some(count) = counts.get_mut(code) {
                    *count += 1;
                }
            });
        }
        counts
    }

    fn build(
        n_rows: usize,
        questions: usize,
        levels: &[usize],
        code: impl Fn(usize, usize) -> Option<u32>,
    ) -> Result<Codes, ClusteringError> {
        if levels.len() != questions {
            return Err(shape("numbers of levels", levels.len(), questions));
        }
        let mut offsets = vec![0];
        for (question, &levels) in levels.iter().enumerate() {
            offsets.push(offsets[question] + levels);
        }
        let narrow = levels.iter().all(|&levels| levels < usize::from(u16::MAX));
        let mut answers = if narrow {
            Answers::Narrow(Vec::new())
        } else {
            Answers::Wide(Vec::new())
        };
        answers.reserve(n_rows * questions);
        for (question, &levels) in levels.iter().enumerate() {
            for row in 0..n_rows {
                match code(question, row) {
                    Some(code) if (code as usize) < levels => answers.push(code),
                    Some(Codes::MISSING) => answers.push(levels as u32),
                    Some(code) => {
                        return Err(shape(
                            "code of an answer",
                            code as usize,
                            levels.saturating_sub(1),
                        ));
                    }
                    None => return Err(shape("rows of a column", row, n_rows)),
                }
            }
        }
        Ok(Codes {
            n_rows,
            offsets,
            answers,
            scale: None,
            centre: None,
            numeric: Vec::new(),
        })
    }

    /// The number of rows, where no question tells it.
    pub(crate) fn with_rows(self, n_rows: usize) -> Codes {
        Codes {
            n_rows: if self.questions() == 0 {
                n_rows
            } else {
                self.n_rows
            },
            ..self
        }
    }

    /// What is subtracted from each one-hot column; empty when nothing is.
    pub(crate) fn centre(&self) -> &[f32] {
        self.centre.as_deref().unwrap_or_default()
    }

    /// Rows with each pair of answers, row-major `(levels of a + 1) × (levels of b + 1)`; missing comes last.
    pub(crate) fn pairs(&self, a: usize, b: usize) -> Vec<u32> {
        let width = self.levels(b) + 1;
        let mut counts = vec![0; (self.levels(a) + 1) * width];
        let rows = |question: usize| question * self.n_rows..(question + 1) * self.n_rows;
        match &self.answers {
            Answers::Narrow(codes) => {
                for (&a, &b) in codes[rows(a)].iter().zip(&codes[rows(b)]) {
                    counts[usize::from(a) * width + usize::from(b)] += 1;
                }
            }
            Answers::Wide(codes) => {
                for (&a, &b) in codes[rows(a)].iter().zip(&codes[rows(b)]) {
                    counts[a as usize * width + b as usize] += 1;
                }
            }
        }
        counts
    }

    fn clone_columns(&self) -> Codes {
        Codes {
            n_rows: 0,
            offsets: self.offsets.clone(),
            answers: Answers::Narrow(Vec::new()),
            scale: self.scale.clone(),
            centre: self.centre.clone(),
            numeric: Vec::new(),
        }
    }

    /// One-hot columns of a question.
    pub(crate) fn columns(&self, question: usize) -> Range<usize> {
        self.offsets[question]..self.offsets[question + 1]
    }

    fn factor(&self, column: usize) -> f32 {
        self.scale.as_ref().map_or(1.0, |scale| scale[column])
    }

    fn shift(&self, column: usize) -> f32 {
        self.centre.as_ref().map_or(0.0, |centre| centre[column])
    }

    fn raw(&self, row: usize, question: usize) -> usize {
        let at = question * self.n_rows + row;
        match &self.answers {
            Answers::Narrow(codes) => usize::from(codes[at]),
            Answers::Wide(codes) => codes[at] as usize,
        }
    }

    /// Calls `take` with the answer of each row; a missing one is the number of levels.
    pub(crate) fn each_answer(&self, question: usize, take: impl FnMut(usize)) {
        self.each_answer_of(0..self.n_rows, question, take);
    }

    /// The same for some rows.
    fn each_answer_of(&self, rows: Range<usize>, question: usize, mut take: impl FnMut(usize)) {
        let places = question * self.n_rows + rows.start..question * self.n_rows + rows.end;
        match &self.answers {
            Answers::Narrow(codes) => codes[places].iter().for_each(|&code| take(code.into())),
            Answers::Wide(codes) => codes[places].iter().for_each(|&code| take(code as usize)),
        }
    }
}

impl Answers {
    fn reserve(&mut self, more: usize) {
        match self {
            Answers::Narrow(codes) => codes.reserve_exact(more),
            Answers::Wide(codes) => codes.reserve_exact(more),
        }
    }

    fn push(&mut self, code: u32) {
        match self {
            Answers::Narrow(codes) => codes.push(code as u16),
            Answers::Wide(codes) => codes.push(code),
        }
    }
}

pub(crate) fn shape(what: &str, found: usize, wanted: usize) -> ClusteringError {
    ClusteringError::Shape {
        what: what.to_owned(),
        found,
        wanted,
    }
}
