//! `%model ls`: the models that run, and those that could.

use mlk8s_models::{Kind, installed};

use super::bytes;
use crate::call::Call;
use crate::error::MagicError;
use crate::view::{Column, Table, View};
use crate::workers::Record;

/// Shows both.
pub(super) fn list(call: &Call) -> Result<View, MagicError> {
    let running = call.session.workers.all();
    let used = call.session.models.endpoints()?.used();
    let loaded = Table {
        title: "models that are loaded".to_owned(),
        columns: vec![
            Column::text("name"),
            Column::text(""),
            Column::text("architecture"),
            Column::text("on"),
            Column::text("kept as"),
            Column::number("context"),
            Column::number("memory"),
            Column::text("from"),
        ],
        note: if running.is_empty() {
            "none; `%model load NAME` loads one".to_owned()
        } else {
            String::new()
        },
        rows: running
            .iter()
            .map(|record| row(record, used.as_deref()))
            .collect(),
    };
    let places = call.session.hub()?;
    let mut rows: Vec<Vec<String>> = installed(places)
        .into_iter()
        .map(|model| {
            let remark = match model.kind {
                _ if !model.is_complete => {
                    "not all of it; loading goes on with the download".to_owned()
                }
                Kind::Decoder => "writes text".to_owned(),
                Kind::TextEncoder => "makes vectors of texts".to_owned(),
                Kind::Clip => "makes vectors of texts and pictures".to_owned(),
                Kind::Unsupported { what } => format!("cannot be loaded: {what}"),
            };
            vec![model.name, model.revision, bytes(model.bytes), remark]
        })
        .collect();
    rows.extend(call.session.encoders.names().into_iter().map(|name| {
        let nothing = String::new;
        vec![name, nothing(), nothing(), "by its name".to_owned()]
    }));
    let here = Table {
        title: "models on this machine".to_owned(),
        columns: vec![
            Column::text("name"),
            Column::text("revision"),
            Column::number("size"),
            Column::text(""),
        ],
        note: format!("of the hub, in `{}`", places.hub_cache.display()),
        rows,
    };
    Ok(View::Stack(vec![View::Table(loaded), View::Table(here)]))
}

fn row(record: &Record, used: Option<&str>) -> Vec<String> {
    let told = &record.summary;
    let mut remarks = Vec::new();
    if record.on_demand {
        remarks.push("for vectors, until it has rested".to_owned());
    } else if used == Some(record.name.as_str()) {
        remarks.push("is asked".to_owned());
    }
    remarks.extend(record.loader.other().map(|other| format!("of {other}")));
    vec![
        record.name.clone(),
        remarks.join("; "),
        told.architecture.clone(),
        told.device.clone(),
        told.precision.clone(),
        record.context.to_string(),
        record.process.memory().map(bytes).unwrap_or_default(),
        record.source.clone(),
    ]
}
