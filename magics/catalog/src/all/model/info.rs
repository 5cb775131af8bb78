//! `%model info`: what a model is, what it needs, and whether that is free, before it is loaded.

use clap::{Args, ValueEnum};
use mlk8s_models::{Card, Device, Fit, Kind, Need, Plan, Precision};

use super::{bytes, fact, facts, parameters};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::fetched;
use crate::gpu;
use crate::view::Table;

/// Sequences at once, where nothing is said.
pub(super) const SLOTS: usize = 8;
/// Tokens of a sequence, where nothing is said and the model could read more.
pub(super) const CONTEXT: usize = 4096;

/// Tokens of the shortest context.
const LEAST_CONTEXT: usize = 32;
/// Most sequences at once.
const MOST_SLOTS: usize = 1024;

/// Show what a model is and what it needs, without loading it
#[derive(Debug, Args)]
pub(super) struct Info {
    /// The model: a directory, a `.gguf` file, a name, ORG/NAME of the hub, or `s3://BUCKET/PREFIX`
    model: String,
    #[command(flatten)]
    way: Way,
}

/// How a model is to be loaded.
#[derive(Debug, Args)]
pub(super) struct Way {
    /// How its numbers are kept; smaller ones need less memory and are read faster
    #[arg(long, value_name = "WAY", default_value = "stored")]
    pub(super) precision: Numbers,
    /// Tokens of the longest conversation
    #[arg(long, value_name = "N", value_parser = context)]
    pub(super) context: Option<usize>,
    /// Conversations at once
    #[arg(long, value_name = "N", value_parser = slots)]
    pub(super) slots: Option<usize>,
}

/// How the numbers of a model are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Numbers {
    /// As they are stored
    Stored,
    /// In 32 bits
    F32,
    /// In 16 bits; for GPUs
    Bf16,
    /// In 8.5 bits
    #[value(name = "q8_0")]
    Q8,
    /// In 4.5 bits
    #[value(name = "q4_k")]
    Q4K,
}

impl Numbers {
    pub(super) fn name(self) -> &'static str {
        self.kept().0
    }

    fn kept(self) -> (&'static str, Precision) {
        match self {
            Numbers::Stored => ("stored", Precision::Stored),
            Numbers::F32 => ("f32", Precision::F32),
            Numbers::Bf16 => ("bf16", Precision::Bf16),
            Numbers::Q8 => ("q8_0", Precision::Q8_0),
            Numbers::Q4K => ("q4_k", Precision::Q4K),
        }
    }
}

impl Info {
    pub(super) fn run(&self, call: &mut Call) -> Result<Table, MagicError> {
        let files = fetched::files(&self.model, call)?;
        let card = Card::read(&files)?;
        let mut rows = described(&card);
        let mut note = String::new();
        if let Kind::Unsupported { what } = &card.kind {
            note = format!("it cannot be loaded: {what}");
        } else {
            let (device, free) = room(call);
            let need = Need::of(&card, self.way.plan(&card, device));
            rows.push(fact("memory for the weights", bytes(need.weights)));
            if need.cache > 0 {
                let plan = need.plan;
                let what = format!(
                    "for {} conversations of {} tokens, when all are full",
                    plan.sequences, plan.context
                );
                rows.push(fact(&what, bytes(need.cache)));
            }
            rows.push(fact("for computing", bytes(need.working)));
            rows.push(fact("together, at most", bytes(need.total)));
            if let Some(free) = free {
                rows.push(fact("free", bytes(free)));
                note = match self.way.check(&self.model, &card, device, Some(free)) {
                    Ok(()) => format!("it fits: `%model load {}`", self.model),
                    Err(error) => format!("{}; {}", error.message, error.hint),
                };
            }
        }
        Ok(Table {
            title: format!("{}: what it is and needs", self.model),
            columns: facts(),
            rows,
            note,
        })
    }
}

impl Way {
    pub(super) fn plan(&self, card: &Card, device: Device) -> Plan {
        Plan {
            precision: self.precision.kept().1,
            context: self.context.unwrap_or(CONTEXT).min(card.context.max(1)),
            sequences: self.slots.unwrap_or(SLOTS),
            device,
        }
    }

    /// An error when what is known says that the model does not fit.
    pub(super) fn check(
        &self,
        name: &str,
        card: &Card,
        device: Device,
        free: Option<u64>,
    ) -> Result<(), MagicError> {
        if let Kind::Unsupported { what } = &card.kind {
            let message = format!("`{name}` cannot be loaded: {what}");
            return Err(MagicError::new(ErrorKind::Input, message));
        }
        let (need, Some(free)) = (Need::of(card, self.plan(card, device)), free) else {
            return Ok(());
        };
        let hint = match mlk8s_models::fits(&need, free) {
            Fit::Fits => return Ok(()),
            Fit::Suggest(ways) => {
                let ways: Vec<String> = ways
                    .iter()
                    .map(|way| {
                        let plan = way.plan;
                        format!(
                            "`--precision {} --context {} --slots {}` needs {}",
                            plan.precision,
                            plan.context,
                            plan.sequences,
                            bytes(way.bytes)
                        )
                    })
                    .collect();
                ways.join("; ")
            }
            Fit::TooLarge => "unload other models (`%model ls`), or take a smaller one".to_owned(),
        };
        let message = format!(
            "`{name}` does not fit: it needs {}, and {} are free",
            bytes(need.total),
            bytes(free)
        );
        Err(MagicError::new(ErrorKind::Input, message).with_hint(hint))
    }
}

/// Tokens of a conversation; fewer than a page of the cache has would be of no use.
fn context(word: &str) -> Result<usize, String> {
    let number = word.parse().ok().filter(|&n: &usize| n >= LEAST_CONTEXT);
    number.ok_or_else(|| format!("it must be a number of tokens, {LEAST_CONTEXT} at least"))
}

/// Conversations at once, as many as a process takes.
fn slots(word: &str) -> Result<usize, String> {
    let number = word.parse().ok();
    number
        .filter(|n| (1..=MOST_SLOTS).contains(n))
        .ok_or_else(|| format!("it must be a number from 1 to {MOST_SLOTS}"))
}

/// Where a model would run, and the bytes that are free there.
pub(super) fn room(call: &Call) -> (Device, Option<u64>) {
    let on_gpu = call
        .session
        .workers
        .has_cuda()
        .then(|| gpu::read(gpu::LIBRARIES));
    let memory = on_gpu
        .and_then(Result::ok)
        .and_then(|found| found.all.first()?.memory);
    match memory {
        Some((used, total)) => (Device::Gpu, Some(total.saturating_sub(used))),
        None => (Device::Processor, mlk8s_models::free_memory()),
    }
}

fn described(card: &Card) -> Vec<Vec<String>> {
    let kind = match &card.kind {
        Kind::Decoder => "writes text",
        Kind::TextEncoder => "makes vectors of texts",
        Kind::Clip => "makes vectors of texts and of pictures",
        Kind::Unsupported { .. } => "cannot be run here",
    };
    let mut rows = vec![
        fact("what it does", kind),
        fact("architecture", card.family.clone()),
        fact("parameters", parameters(card.n_parameters)),
        fact(
            "on disk",
            format!("{}, {}", bytes(card.weight_bytes), card.stored),
        ),
        fact(
            "shape",
            format!("{} layers of {}", card.n_layers, card.hidden),
        ),
        fact("reads at most", format!("{} tokens", card.context)),
    ];
    if card.kind == Kind::Decoder {
        let template = if card.has_chat_template {
            "yes"
        } else {
            "no: `%%ask --plain` goes on with a text"
        };
        rows.push(fact("made for conversations", template));
    }
    if let Some(licence) = &card.licence {
        rows.push(fact("licence", licence.clone()));
    }
    rows
}
