//! Dated price lists of hosted models, and what a call costs by them.

pub(crate) mod fields;
mod names;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use chrono::NaiveDate;

/// The lists that come with the program: name for error messages, and text.
const BUILT_IN: [(&str, &str); 3] = [
    ("2023-07-22.json", include_str!("../prices/2023-07-22.json")),
    ("2023-12-01.json", include_str!("../prices/2023-12-01.json")),
    ("2026-11-23.json", include_str!("../prices/2026-11-23.json")),
];

/// All price lists that are known, oldest first. There is always at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceLists {
    lists: Vec<PriceList>,
}

impl PriceLists {
    /// The lists that come with the program.
    pub fn built_in() -> Result<Self, PriceError> {
        let mut lists = Self {
            lists: Vec::with_capacity(BUILT_IN.len()),
        };
        for (file, text) in BUILT_IN {
            lists.add(read::list(file, text)?);
        }
        Ok(lists)
    }

    /// The lists that come with the program and those of the `*.json` files in a folder. A list of the folder replaces
    /// a built-in list with the same id; a folder that does not exist adds nothing.
    pub fn open(dir: &Path) -> Result<Self, PriceError> {
        let mut lists = Self::built_in()?;
        for list in read::folder(dir)? {
            lists.add(list);
        }
        Ok(lists)
    }

    /// Every list, oldest first.
    pub fn all(&self) -> &[PriceList] {
        &self.lists
    }

    /// The list with an id.
    pub fn list(&self, id: &str) -> Option<&PriceList> {
        self.lists.iter().find(|list| list.id == id)
    }

    /// The youngest list.
    pub fn latest(&self) -> &PriceList {
        &self.lists[self.lists.len() - 1]
    }

    /// The list that was in force on a day: the youngest of those that are not younger, else the oldest of all.
    pub fn at(&self, date: NaiveDate) -> &PriceList {
        &self.lists[self.in_force(date).saturating_sub(1)]
    }

    /// A model's price on a day, with the list it is from. A list without the model is passed over, first for an older
    /// one and in the end for a younger one, so that a short list of the user's hides no built-in price.
    pub fn find(&self, model: &str, date: NaiveDate) -> Option<(&PriceList, &Price)> {
        let (past, future) = self.lists.split_at(self.in_force(date));
        past.iter()
            .rev()
            .chain(future)
            .find_map(|list| Some((list, list.price(model)?)))
    }

    /// How many lists are not younger than a day.
    fn in_force(&self, date: NaiveDate) -> usize {
        self.lists.partition_point(|list| list.date <= date)
    }

    fn add(&mut self, list: PriceList) {
        self.lists.retain(|known| known.id != list.id);
        let place = self.in_force(list.date);
        self.lists.insert(place, list);
    }
}

/// The prices of one day.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceList {
    /// What the ledger calls it.
    pub id: String,
    /// The day from which it holds.
    pub date: NaiveDate,
    /// Where the prices are from.
    pub source: String,
    /// The licence of the data.
    pub licence: String,
    /// Prices by the model's name in small letters.
    pub models: BTreeMap<String, Price>,
}

impl PriceList {
    /// The price of a model: by its name, else without the names of providers before it (`openai/gpt-4o`), else without
    /// the date behind it (`gpt-4o-2024-08-06`). Capital letters do not matter.
    ///
    /// The name of an organisation that only publishes weights is no provider: `Qwen/Qwen3-8B` is a local model, and a
    /// host's price for it is listed under the host's name, as `groq/qwen/…`.
    pub fn price(&self, model: &str) -> Option<&Price> {
        let is_provider = |name: &str| self.models.values().any(|price| price.provider == name);
        names::spellings(model, is_provider)
            .iter()
            .find_map(|name| self.models.get(name))
    }

    /// The listed name that is most like a name without a price, if one is like it at all.
    pub fn nearest(&self, model: &str) -> Option<&str> {
        names::nearest(model, self.models.keys().map(String::as_str))
    }
}

/// What kind of calls a model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Messages in, a message out.
    Chat,
    /// Text in, its continuation out.
    Completion,
    /// Text in, a vector out.
    Embedding,
}

/// What one model costs, in US dollars per token.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// A token of the prompt.
    pub input: f64,
    /// A token of the answer.
    pub output: f64,
    /// A token of the prompt that the server had cached; as any other when not listed.
    pub cached: Option<f64>,
    /// A token of the prompt in a batch; as outside a batch when not listed.
    pub batch_input: Option<f64>,
    /// A token of the answer in a batch.
    pub batch_output: Option<f64>,
    /// A cached token of the prompt in a batch.
    pub batch_cached: Option<f64>,
    /// The prices of calls with a long prompt, where they differ.
    pub long: Option<LongPrice>,
    /// Most tokens of a prompt.
    pub max_input: Option<u64>,
    /// Most tokens of an answer.
    pub max_output: Option<u64>,
    /// Who sells it.
    pub provider: String,
    /// What it does.
    pub mode: Mode,
    /// Where this price is from; empty when the list's own source says it.
    pub source: String,
}

/// What all tokens of a call cost when its prompt is long, in US dollars per token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongPrice {
    /// A prompt of more tokens than this is long.
    pub above: u64,
    /// A token of the prompt.
    pub input: f64,
    /// A token of the answer.
    pub output: f64,
    /// A token of the prompt that the server had cached.
    pub cached: Option<f64>,
}

/// The tokens of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones among them.
    pub prompt: u64,
    /// Those of the prompt that the server had cached.
    pub cached: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

/// What a call costs, in US dollars. More cached tokens than the prompt has count as the whole prompt.
pub fn cost(price: &Price, usage: &Usage, batch: bool) -> f64 {
    let rates = price.rates(usage.prompt, batch);
    let cached = usage.cached.min(usage.prompt);
    let fresh = usage.prompt - cached;
    fresh as f64 * rates.input
        + cached as f64 * rates.cached
        + usage.completion as f64 * rates.output
}

/// The most that a call can cost, in US dollars: nothing is cached, it is no batch, and the answer uses all its tokens.
pub fn worst_case(price: &Price, prompt_tokens: u64, max_tokens: u64) -> f64 {
    cost(
        price,
        &Usage {
            prompt: prompt_tokens,
            cached: 0,
            completion: max_tokens,
        },
        false,
    )
}

/// What is wrong with a file of prices.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// It cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It is not JSON.
    #[error("`{file}` is not JSON: {source}")]
    Json {
        /// The file.
        file: String,
        /// Where it stops being JSON.
        source: serde_json::Error,
    },
    /// One of its fields is wrong.
    #[error("`{file}`: field `{field}` {problem}")]
    Field {
        /// The file.
        file: String,
        /// The field, with the names of what it is in.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The three rates of one call.
#[derive(Clone, Copy)]
struct Rates {
    input: f64,
    output: f64,
    cached: f64,
}

impl Price {
    fn rates(&self, prompt: u64, batch: bool) -> Rates {
        let usual = Rates {
            input: self.input,
            output: self.output,
            cached: self.cached.unwrap_or(self.input),
        };
        let rates = match self.long {
            Some(long) if prompt > long.above => Rates {
                input: long.input,
                output: long.output,
                cached: long.cached.unwrap_or(long.input),
            },
            _ => usual,
        };
        if !batch {
            return rates;
        }
        let input = discounted(rates.input, usual.input, self.batch_input);
        Rates {
            input,
            output: discounted(rates.output, usual.output, self.batch_output),
            // Where a provider lists no cached batch price, the two discounts are alternatives.
            cached: discounted(rates.cached, usual.cached, self.batch_cached).min(input),
        }
    }
}

/// The rate in a batch. Long prompts get the discount of short ones: providers that list both keep the ratio.
fn discounted(rate: f64, usual: f64, batch: Option<f64>) -> f64 {
    match batch {
        Some(batch) if usual > 0.0 => batch * (rate / usual),
        Some(batch) => batch,
        None => rate,
    }
}

#[cfg(test)]
mod tests;
