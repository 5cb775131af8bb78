//! `%model load`: a model in a process of its own, an endpoint from then on.

use clap::Args;
use mlk8s_models::{Card, Kind, Need};

use super::info::{self, CONTEXT, SLOTS, Way};
use super::{bytes, fact, facts, parameters};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::fetched;
use crate::view::Table;
use crate::workers::{Device, Record, Start, is_good, name_of};

/// Load a model into a process of its own; it is asked from then on
#[derive(Debug, Args)]
pub(super) struct Load {
    /// The model: a directory, a `.gguf` file, a name, ORG/NAME of the hub, or `s3://BUCKET/PREFIX`
    model: String,
    /// What it is to be called, as model and as endpoint; else the last part of its name
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Where it is to run
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    on: Device,
    #[command(flatten)]
    way: Way,
}

impl Load {
    pub(super) fn run(&self, call: &mut Call) -> Result<Table, MagicError> {
        let name = self.name()?;
        let files = fetched::files(&self.model, call)?;
        let card = Card::read(&files)?;
        let (device, free) = match self.on {
            Device::Cpu => (mlk8s_models::Device::Processor, mlk8s_models::free_memory()),
            _ => info::room(call),
        };
        self.way.check(&self.model, &card, device, free)?;
        let writes = card.kind == Kind::Decoder;
        let context = self.way.context.unwrap_or(CONTEXT).min(card.context.max(1));
        let need = Need::of(&card, self.way.plan(&card, device));
        let start = Start {
            name: &name,
            source: &self.model,
            path: &files.path,
            device: self.on,
            precision: writes.then(|| self.way.precision.name()),
            context: writes.then_some(context),
            slots: writes.then(|| self.way.slots.unwrap_or(SLOTS)),
            cache_bytes: writes.then_some(need.cache),
            on_demand: false,
        };
        let (cancel, progress) = (call.cancel.clone(), call.progress);
        let (record, remark) = call.session.workers.start(&start, &cancel, progress)?;
        Ok(table(&record, &card, &need, remark))
    }

    /// What the model is to be called: as endpoints are.
    fn name(&self) -> Result<String, MagicError> {
        let Some(name) = &self.name else {
            return Ok(name_of(&self.model));
        };
        if name.is_empty() || !name.chars().all(is_good) || name == "env" {
            let message = format!("`{name}` cannot be the name of a model here");
            return Err(MagicError::new(ErrorKind::Usage, message).with_hint(
                "a name is made of letters, digits, `-` and `_`, such as `--as small`",
            ));
        }
        Ok(name.clone())
    }
}

/// What its process has now, and what it will have: room for conversations is taken when they come.
fn memory(record: &Record, need: &Need) -> String {
    let now = bytes(record.process.memory().unwrap_or_default());
    let more = need.cache + need.working;
    match need.plan.device {
        mlk8s_models::Device::Processor if more > 0 => {
            let when = if need.cache > 0 {
                format!("when {} conversations are full", need.plan.sequences)
            } else {
                "while it computes".to_owned()
            };
            format!("{now} now, up to {} more {when}", bytes(more))
        }
        _ => now,
    }
}

fn table(record: &Record, card: &Card, need: &Need, remark: Option<String>) -> Table {
    let told = &record.summary;
    let device = if told.device.is_empty() {
        "cpu"
    } else {
        &told.device
    };
    let mut rows = vec![
        fact("architecture", told.architecture.clone()),
        fact("parameters", parameters(card.n_parameters)),
        fact("runs on", device),
    ];
    if card.kind == Kind::Decoder {
        rows.push(fact("numbers kept as", told.precision.clone()));
        rows.push(fact(
            "conversations",
            format!(
                "{} at once, of {} tokens each",
                record.slots, record.context
            ),
        ));
    }
    rows.push(fact("memory of its process", memory(record, need)));
    rows.push(fact("endpoint", record.url.clone()));
    let name = &record.name;
    let usage = match card.kind {
        Kind::Decoder => {
            format!("`%%ask` asks it now, `%kg build` can read with it (`--model {name}@{name}`)")
        }
        _ => format!("`%embed … --model {name}@{name}` makes vectors with it"),
    };
    let note = [
        remark,
        Some(format!(
            "{usage}; other notebooks see the endpoint `{name}`; `%model unload {name}` gives the memory back"
        )),
    ];
    Table {
        title: format!("{name}: loaded in {:.1} s", record.took_s),
        columns: facts(),
        rows,
        note: note.into_iter().flatten().collect::<Vec<_>>().join("; "),
    }
}
