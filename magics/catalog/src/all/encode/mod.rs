//! `%encode`: answers become vectors.

mod show;

use std::sync::Arc;

use clap::{Parser, ValueEnum};
use mlk8s_clustering::encode::{
    Answers as Given, EncodeOptions, Encoder, Entity, EntityOptions, Method, Missing, Vectors,
    encode,
};
use mlk8s_clustering::{ChooseOptions, Numeric, Table as Answers, choose};
use mlk8s_values::Columns;
use polars::prelude::{DataFrame, DataType};

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::names::ValueName;
use crate::rows::{self, Points, Rows, Source};
use crate::session::{Import, ImportKind, Value};
use crate::view::{Table, ToView, View};

use super::kmeans::Watcher;
use show::{candidates, explained, to_frame};

/// Different whole numbers up to which a column is one of answers.
const FEW: usize = 20;
/// Different answers up to which all pairs of them can be counted again and again.
const MOST_PAIRED: usize = 4096;
/// Different texts from which a column can be one of names.
const MANY: usize = 50;

/// Make vectors of answers, that is of columns that hold words or codes
#[derive(Debug, Parser)]
pub(super) struct Encode {
    /// A frame, or a file that ends in .parquet, .arrow or .csv
    #[arg(value_name = "TABLE")]
    source: String,
    /// How answers become numbers
    #[arg(long, default_value = "onehot")]
    method: How,
    /// Dimensions of the vectors, where the method makes a choice of them
    #[arg(long, value_name = "N")]
    dim: Option<usize>,
    /// Groups that are looked for, which `--method choose` needs to know
    #[arg(short = 'k', long = "clusters", value_name = "N", default_value = "8")]
    k: usize,
    /// Columns of answers; by default all texts, truth values, and numbers that are few
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Take every column for answers, also numbers
    #[arg(long)]
    categorical: bool,
    /// What an answer is that was not given
    #[arg(long, default_value = "level")]
    missing: NotGiven,
    /// Answers that a smaller share of rows gave become one, `other`
    #[arg(long, value_name = "SHARE", default_value = "0")]
    rare: f64,
    /// A column with a few words for each row, to be shown
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Seed of all random choices
    #[arg(long, default_value = "0")]
    seed: u64,
    /// Name of the vectors, in Rust cells and for other magics
    #[arg(long = "as", value_name = "NAME", default_value = "vectors")]
    name: ValueName,
}

/// How answers become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// A dimension for each answer, 1 where it was given
    Onehot,
    /// The same, rare answers counting more (χ²)
    Chi2,
    /// Multiple correspondence analysis
    Mca,
    /// What is answered together (positive pointwise mutual information)
    Ppmi,
    /// How each answer goes with those to other questions
    Coupling,
    /// Learned: each answer is guessed from the others
    Entity,
    /// The one whose groups are the most stable, found by trying
    Choose,
}

/// What an answer is that was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NotGiven {
    /// An answer like others
    Level,
    /// Nothing
    Ignore,
}

/// What was made, in numbers.
pub(super) struct Encoded {
    table: Table,
    choice: Option<Table>,
}

impl Magic for Encode {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%encode tables/survey.csv --as answers",
            about: "a dimension for each answer; nothing is written out that is 0",
            shows: "80 rows",
        },
        Example {
            after: &[],
            cell: "%encode tables/survey.csv --method choose -k 2",
            about: "the encoding that the data favour, for two groups",
            shows: "which encoding the data favour",
        },
    ];
    type Outcome = Encoded;

    fn run(self, call: &mut Call) -> Result<Encoded, MagicError> {
        let frame = Source::frame(&self.source, call)?;
        let labels = rows::labels(&frame, self.label.as_deref())?;
        let (answers, mut notes) = self.answers(&frame)?;
        let watcher = Watcher {
            cancel: &call.cancel,
            progress: call.progress,
            most: 0,
        };
        let mut chosen = None;
        let method = if self.method == How::Choose {
            let mut options = ChooseOptions::new(self.k);
            options.seed = self.seed;
            let n_levels: usize = answers
                .columns
                .iter()
                .map(|column| column.levels.len())
                .sum();
            if n_levels > MOST_PAIRED {
                options
                    .methods
                    .retain(|method| !matches!(method, Method::Ppmi(_)));
                notes.push(format!(
                    "`ppmi` was not tried: it counts pairs of {n_levels} answers"
                ));
            }
            options.encode = self.options(options.encode.method);
            let choice = choose(&answers, &options, &watcher)?;
            let method = choice.method;
            chosen = Some(choice);
            Some(method)
        } else {
            self.method()
        };
        let made = match method {
            Some(method) => {
                let options = self.options(method);
                let (encoder, vectors) = encode(&answers, &options, &watcher)?;
                notes.extend(encoder.notes().iter().cloned());
                notes.extend(explained(&encoder));
                as_rows(&answers, &encoder, vectors, labels, &method.to_string())
            }
            None => self.learned(&answers, labels, &watcher, &mut notes)?,
        };
        let table = self.table(&frame, &answers, &made, method, notes);
        self.publish(&answers, made, call)?;
        Ok(Encoded {
            table,
            choice: chosen.as_ref().map(|choice| candidates(choice, self.k)),
        })
    }
}

impl Encode {
    fn method(&self) -> Option<Method> {
        Some(match self.method {
            How::Onehot | How::Choose => Method::OneHot,
            How::Chi2 => Method::Chi2,
            How::Mca => Method::Mca(self.dim.unwrap_or(5)),
            How::Ppmi => Method::Ppmi(self.dim.unwrap_or(16)),
            How::Coupling => Method::Coupling(self.dim.unwrap_or(64)),
            How::Entity => return None,
        })
    }

    fn options(&self, method: Method) -> EncodeOptions {
        let mut options = EncodeOptions::new(method);
        options.missing = match self.missing {
            NotGiven::Level => Missing::Level,
            NotGiven::Ignore => Missing::Ignore,
        };
        options.rare = self.rare;
        options.seed = self.seed;
        options.memory = rows::memory_available().map(|bytes| bytes / 10 * 8);
        options
    }

    /// The answers and the amounts in `frame`, and what was left out.
    fn answers(&self, frame: &DataFrame) -> Result<(Answers, Vec<String>), MagicError> {
        let chosen = rows::chosen(frame, &self.columns)?;
        let (mut columns, mut numeric, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for column in chosen {
            let name = column.name().to_string();
            if matches!(column.dtype(), DataType::List(_) | DataType::Struct(_)) {
                left.push(format!("`{name}`, which holds {}", column.dtype()));
                continue;
            }
            let is_given = self.columns.contains(&name) || self.categorical;
            let n_levels = column.n_unique()?;
            let is_amount = column.dtype().is_primitive_numeric()
                && (column.dtype().is_float() || n_levels > FEW);
            let is_name = n_levels > MANY && n_levels * 10 > column.len() * 9;
            if is_amount && !is_given {
                let values = column.cast(&DataType::Float32)?;
                let values = values
                    .f32()?
                    .iter()
                    .map(|x| x.unwrap_or(f32::NAN))
                    .collect();
                numeric.push(Numeric { name, values });
            } else if is_name && !is_given {
                left.push(format!("`{name}`, which nearly each row has another of"));
            } else {
                let words = column.cast(&DataType::String)?;
                columns.push(mlk8s_clustering::Column::from_texts(
                    &name,
                    words.str()?.iter(),
                ));
            }
        }
        if columns.is_empty() {
            let message = format!("`{}` has no column of answers", self.source);
            return Err(MagicError::new(ErrorKind::Input, message).with_hint(format!(
                "`%kmeans {}` groups by numbers; `--columns` takes columns for answers, whatever they hold",
                self.source
            )));
        }
        let mut notes = Vec::new();
        if !numeric.is_empty() {
            let names: Vec<String> = numeric
                .iter()
                .map(|one| format!("`{}`", one.name))
                .collect();
            notes.push(format!("taken as amounts: {}", names.join(", ")));
        }
        if !left.is_empty() {
            notes.push(format!("left out: {}", left.join(", ")));
        }
        Ok((Answers { columns, numeric }, notes))
    }

    /// The rows of learned vectors.
    fn learned(
        &self,
        answers: &Answers,
        labels: Vec<String>,
        watcher: &Watcher<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Rows, MagicError> {
        let mut options = EntityOptions::default();
        options.dim = self.dim.unwrap_or(options.dim);
        options.seed = self.seed;
        let (codes, levels) = answers.row_major();
        let given = Given {
            codes: &codes,
            levels: &levels,
        };
        let entity = Entity::fit(&given, &options, watcher)?;
        if let [before, after @ ..] = entity.losses() {
            let best = after.iter().copied().fold(*before, f64::min);
            notes.push(format!(
                "after {} passes an answer is guessed with {best:.3} nats, from shares alone with {before:.3}",
                after.len()
            ));
        }
        if !answers.numeric.is_empty() {
            notes.push("amounts are not learned from".to_owned());
        }
        Ok(Rows {
            points: Points::Dense {
                values: entity.rows(&given, watcher)?,
                dims: entity.dim(),
            },
            names: Vec::new(),
            labels,
            columns: Columns::Vector("vector".to_owned()),
            standard: Vec::new(),
            origin: format!("entity({})", entity.dim()),
        })
    }

    /// Gives the vectors to other magics, and a frame of them to Rust cells.
    fn publish(&self, answers: &Answers, made: Rows, call: &mut Call) -> Result<(), MagicError> {
        let path = call.session.crossing(self.name.as_str(), ImportKind::Frame);
        mlk8s_values::write_frame(&path, &mut to_frame(answers, &made)?)?;
        let import = Import {
            name: self.name.to_string(),
            kind: ImportKind::Frame,
            path,
        };
        call.session.put(
            self.name.as_str(),
            Value::Rows(Arc::new(made)),
            vec![import],
        );
        Ok(())
    }
}

/// The rows that an encoder made.
fn as_rows(
    answers: &Answers,
    encoder: &Encoder,
    vectors: Vectors,
    labels: Vec<String>,
    origin: &str,
) -> Rows {
    let columns = encoder
        .dimensions()
        .filter(|_| answers.numeric.is_empty())
        .map_or_else(|| Columns::Vector("vector".to_owned()), Columns::Answers);
    let points = match vectors {
        Vectors::Codes(codes) => Points::Codes(codes),
        Vectors::Dense { values, dims, .. } => Points::Dense { values, dims },
    };
    Rows {
        points,
        names: encoder.names(),
        labels,
        columns,
        standard: Vec::new(),
        origin: origin.to_owned(),
    }
}

impl ToView for Encoded {
    fn to_view(&self) -> View {
        let mut views = vec![View::Table(self.table.clone())];
        views.extend(self.choice.clone().map(View::Table));
        View::Stack(views)
    }
}
