//! `%gpu`: memory, load, temperature and energy of the GPUs, and who uses them.

use clap::Parser;

use crate::call::Call;
use crate::error::MagicError;
use crate::gpu::{Gpu, Gpus, LIBRARIES, read};
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};

const GIB: f64 = (1u64 << 30) as f64;

/// Memory, load, temperature and energy of the GPUs
#[derive(Debug, Parser)]
pub(super) struct ShowGpus {}

/// What there is to see.
pub(super) struct Seen(View);

impl Magic for ShowGpus {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%gpu",
        about: "what the GPUs are doing; without one it says why",
        shows: "GPU",
    }];
    type Outcome = Seen;

    fn run(self, call: &mut Call) -> Result<Seen, MagicError> {
        Ok(Seen(match read(LIBRARIES) {
            Ok(found) if !found.all.is_empty() => View::Table(table(&found, call)),
            Ok(found) => View::Text(format!(
                "no GPU is here, though the driver {} is",
                found.driver
            )),
            Err(why) => View::Text(format!(
                "no GPU can be seen from here: {why}; models run on the processor"
            )),
        }))
    }
}

fn table(found: &Gpus, call: &Call) -> Table {
    let models = call.session.workers.all();
    let named = |&(process, bytes): &(u32, Option<u64>)| {
        let model = models.iter().find(|model| model.process.id == process);
        let who = model.map_or_else(|| format!("process {process}"), |model| model.name.clone());
        match bytes {
            Some(bytes) => format!("{who} {:.1} GiB", bytes as f64 / GIB),
            None => who,
        }
    };
    let row = |(index, gpu): (usize, &Gpu)| {
        let used: Vec<String> = gpu.processes.iter().map(named).collect();
        vec![
            index.to_string(),
            gpu.name.clone(),
            shown(gpu.memory, |(used, total)| {
                format!("{:.1} of {:.1} GiB", used as f64 / GIB, total as f64 / GIB)
            }),
            shown(gpu.load, |load| format!("{load} %")),
            shown(gpu.temperature, |degrees| format!("{degrees} °C")),
            shown(gpu.power, |(drawn, most)| match most {
                Some(most) => format!("{drawn:.0} of {most:.0} W"),
                None => format!("{drawn:.0} W"),
            }),
            shown(gpu.energy, |energy| format!("{energy:.1} kWh")),
            used.join(", "),
        ]
    };
    Table {
        title: format!("GPUs: driver {}, CUDA {}", found.driver, found.cuda),
        columns: vec![
            Column::number(""),
            Column::text("GPU"),
            Column::number("memory"),
            Column::number("load"),
            Column::number("temperature"),
            Column::number("power"),
            Column::number("energy"),
            Column::text("used by"),
        ],
        rows: found.all.iter().enumerate().map(row).collect(),
        note: "the energy is counted since the driver was loaded".to_owned(),
    }
}

fn shown<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "not told".to_owned(), show)
}

impl ToView for Seen {
    fn to_view(&self) -> View {
        self.0.clone()
    }
}
