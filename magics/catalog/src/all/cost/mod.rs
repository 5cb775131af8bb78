//! `%cost`: what prompts cost, what they would have cost elsewhere, and what one's own machine costs.

mod chart;
mod cluster;
mod count;
mod elsewhere;

use clap::{Parser, ValueEnum};
use mlk8s_llm::Client;
use mlk8s_llm::ledger::{By as LedgerBy, Filter, Summary};
use mlk8s_llm::local::{Machine, Rates};
use mlk8s_llm::price::{PriceList, PriceLists};

use super::since::Since;
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};
pub(super) use count::texts;

/// Calls whose texts are counted anew with another model's tokenizer; more are judged by these.
const COUNTED_ANEW: u64 = 400;
/// Models that calls are priced at when none is named.
const ELSEWHERE: [&str; 4] = [
    "gpt-5-mini",
    "gpt-5-nano",
    "claude-sonnet-4-5",
    "gemini-2.5-flash",
];
/// The model of the bar that stands for a hosted API.
const COMPARED: &str = "gpt-5-mini";
/// Rows of the table.
const ROWS: usize = 30;

/// What prompts cost, here and elsewhere
#[derive(Debug, Parser)]
pub(super) struct Cost {
    /// What is counted
    #[arg(default_value = "prompts")]
    what: What,
    /// Since when: 12h, 7d, 4w, a day, or all
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,
    /// What the sums are grouped by
    #[arg(long, default_value = "model")]
    by: By,
    /// Models elsewhere that the same calls are priced at, with commas
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    than: Vec<String>,
    /// Take the tokens as the ledger has them, whatever tokenizer counted them
    #[arg(long)]
    as_counted: bool,
    /// The price list, by its date; else the newest
    #[arg(long, value_name = "DATE")]
    prices: Option<String>,
    /// Graphics processors that local calls keep busy
    #[arg(long, value_name = "N", default_value = "1")]
    gpus: f64,
    /// What the cluster's costs are grouped by: namespace, controller, node, label:NAME
    #[arg(long, value_name = "NAME", default_value = "namespace")]
    aggregate: String,
    /// Where OpenCost or Kubecost is; else `MLK8S_OPENCOST`
    #[arg(long, value_name = "URL")]
    opencost: Option<String>,
    /// Take over the table `llm_inference_log` of this database first
    #[arg(long, value_name = "FILE|URL")]
    import: Option<String>,
    /// Write the calls into the table `llm_inference_log` of this database
    #[arg(long, value_name = "FILE|URL")]
    export: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Calls of models
    Prompts,
    /// The cluster, or without one this machine
    Cluster,
    /// Both in one chart
    Compare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Model,
    Day,
    Run,
    Cell,
    User,
    Endpoint,
}

/// The sums.
pub(super) struct Counted(View);

impl Magic for Cost {
    const EXAMPLES: &'static [Example] = &[
        Example {
            after: &[],
            cell: "%cost --since 7d --by day",
            about: "a week, day by day",
            shows: "no call",
        },
        Example {
            after: &[],
            cell: "%cost --than gpt-5-mini,gpt-4o --prices 2026-11-23",
            about: "what the same calls would have cost elsewhere, by the prices of a day",
            shows: "no call",
        },
    ];
    type Outcome = Counted;

    fn run(self, call: &mut Call) -> Result<Counted, MagicError> {
        if self.what == What::Cluster {
            return self
                .cluster(call)
                .map(|(views, _)| Counted(View::Stack(views)));
        }
        let client = call.session.models.client()?;
        let mut views = self.exchange(&client)?;
        let since = self.since.ms;
        let by = self.by.ledger();
        let groups = client.ledger(move |ledger| ledger.summaries(since, by))?;
        if groups.iter().map(|group| group.calls).sum::<i64>() == 0 {
            views.push(View::Text(format!(
                "there is no call of a model {}",
                self.since.words()
            )));
            return Ok(Counted(View::Stack(views)));
        }
        let list = self.list(client.prices())?;
        let newest = Filter {
            since_ms: Some(since),
            limit: Some(COUNTED_ANEW),
            newest_first: true,
            ..Filter::default()
        };
        let sample = client.ledger(move |ledger| ledger.rows(&newest))?;
        let (hours, own, source) = self.own(call, &client)?;
        views.push(View::Table(self.table(&groups)));
        views.push(View::Table(
            self.elsewhere(&groups, &sample, list, hours, own, &source)?,
        ));
        if self.what == What::Compare {
            let (more, cluster) = self.cluster(call)?;
            views.extend(
                more.into_iter()
                    .filter(|view| !matches!(view, View::Chart(_))),
            );
            let there = self.at(COMPARED, &sum(&groups), &sample, list, false)?;
            views.push(View::Chart(chart::compared(
                sum(&groups).paid_usd,
                own,
                there,
                cluster,
            )));
        } else {
            views.push(View::Chart(chart::chart(&groups, self.by)));
        }
        Ok(Counted(View::Stack(views)))
    }
}

impl By {
    fn ledger(self) -> LedgerBy {
        match self {
            By::Model => LedgerBy::Model,
            By::Day => LedgerBy::Day,
            By::Run => LedgerBy::Run,
            By::Cell => LedgerBy::Cell,
            By::User => LedgerBy::User,
            By::Endpoint => LedgerBy::Endpoint,
        }
    }

    fn heading(self) -> &'static str {
        match self {
            By::Model => "model",
            By::Day => "day",
            By::Run => "run",
            By::Cell => "cell",
            By::User => "user",
            By::Endpoint => "endpoint",
        }
    }
}

impl Cost {
    /// Takes calls over from another log, and writes them into one, where that is wanted.
    fn exchange(&self, client: &Client) -> Result<Vec<View>, MagicError> {
        let since = self.since.ms;
        let mut views = Vec::new();
        if let Some(from) = self.import.clone() {
            let report = client.ledger(move |ledger| ledger.import_log(&from))?;
            views.push(View::Text(format!(
                "{} calls taken over, {} were there already, {} have no time and were left",
                report.imported, report.skipped, report.undated
            )));
        }
        if let Some(to) = self.export.clone() {
            let n = client.ledger(move |ledger| ledger.export_log(&to, since))?;
            views.push(View::Text(format!("{n} calls written")));
        }
        Ok(views)
    }

    /// Hours in which one's own servers had calls to answer, what they cost, and whose rates those are.
    fn own(&self, call: &Call, client: &Client) -> Result<(f64, f64, String), MagicError> {
        let since = self.since.ms;
        let busy = client.ledger(move |ledger| ledger.busy_hours(since))?;
        let own = call.session.models.endpoints()?.own();
        let rates = Rates::open(call.session.models.state())
            .map_err(|error| MagicError::new(ErrorKind::Input, error.to_string()))?;
        let hours: f64 = busy
            .iter()
            .filter(|(name, _)| own.contains(name))
            .fold(0.0, |sum, (_, hours)| sum + hours);
        let machine = Machine {
            gpus: self.gpus,
            ..Machine::default()
        };
        // Whoever has told us the price of electricity owns the machine already.
        let usd = rates.power.as_ref().map_or_else(
            || rates.hours_cost(&machine, hours),
            |power| power.hours_cost(hours),
        );
        Ok((hours, usd, rates.source))
    }

    fn list<'a>(&self, lists: &'a PriceLists) -> Result<&'a PriceList, MagicError> {
        let Some(id) = &self.prices else {
            return Ok(lists.latest());
        };
        lists.list(id).ok_or_else(|| {
            let known: Vec<String> = lists
                .all()
                .iter()
                .map(|list| format!("`{}`", list.id))
                .collect();
            MagicError::new(
                ErrorKind::NotFound,
                format!("there is no price list called `{id}`"),
            )
            .with_hint(format!("there is {}", known.join(", ")))
        })
    }

    fn table(&self, groups: &[Summary]) -> Table {
        let total = sum(groups);
        let mut rows: Vec<Vec<String>> = groups.iter().take(ROWS).map(row).collect();
        if groups.len() > 1 {
            rows.push(row(&Summary {
                key: "together".to_owned(),
                ..total.clone()
            }));
        }
        let mut notes = Vec::new();
        if groups.len() > ROWS {
            notes.push(format!(
                "{} more rows are in the sum only",
                groups.len() - ROWS
            ));
        }
        if total.unmetered > 0 {
            notes.push(format!(
                "{} calls have no tokens in the ledger: they are not free, they were not counted",
                total.unmetered
            ));
        }
        if total.open > 0 {
            notes.push(format!(
                "{} calls are under way, or their kernel was killed: budgets take them for as dear as they can be",
                total.open
            ));
        }
        let number = [
            "calls",
            "failed",
            "from cache",
            "prompt tokens",
            "answer tokens",
            "spent",
        ];
        Table {
            title: format!("prompts {}", self.since.words()),
            columns: std::iter::once(Column::text(self.by.heading()))
                .chain(number.map(Column::number))
                .collect(),
            rows,
            note: notes.join("; "),
        }
    }
}

/// An amount to the hundredth of a cent: sums are compared with bills.
fn exact_dollars(usd: f64) -> String {
    if usd == 0.0 || usd.abs() >= 0.0001 {
        format!("${usd:.4}")
    } else {
        format!("${usd:.6}")
    }
}

fn sum(groups: &[Summary]) -> Summary {
    let mut total = Summary::default();
    for group in groups {
        total.calls += group.calls;
        total.failed += group.failed;
        total.cached += group.cached;
        total.open += group.open;
        total.prompt_tokens += group.prompt_tokens;
        total.cached_tokens += group.cached_tokens;
        total.completion_tokens += group.completion_tokens;
        total.unmetered += group.unmetered;
        total.total_ms += group.total_ms;
        total.paid_usd += group.paid_usd;
    }
    total
}

fn row(group: &Summary) -> Vec<String> {
    let key = if group.key.is_empty() {
        "(none)"
    } else {
        &group.key
    };
    vec![
        key.to_owned(),
        group.calls.to_string(),
        group.failed.to_string(),
        group.cached.to_string(),
        group.prompt_tokens.to_string(),
        group.completion_tokens.to_string(),
        exact_dollars(group.paid_usd),
    ]
}

impl ToView for Counted {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}
