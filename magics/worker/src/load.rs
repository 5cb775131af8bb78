//! A model's files become a model that is served: an encoder of texts, or a decoder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mlk8s_engine::{Encoder, EngineError};
use mlk8s_generate::{Device, Engine, EngineSettings, LoadSettings, Loaded, Pooling};
use serde_json::{Value, json};

use crate::encoder::SharedEncoder;
use crate::error::WorkerError;
use crate::report;
use crate::served::{Served, Vectors};
use crate::settings::{Place, Settings};

/// Loads the model at `path`; `progress` hears of bytes done, and of all.
pub(crate) fn load(
    path: &Path,
    settings: &Settings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Served, WorkerError> {
    if path.is_dir() {
        match Encoder::load(path) {
            Ok(encoder) => return encoder_of(encoder, path, settings),
            // It may be a decoder.
            Err(EngineError::NotServed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (loaded, device) = decoder(path, settings, progress)?;
    if let Some(why) = loaded.text.template_problem() {
        report::notice(&format!(
            "the chat template of this model cannot be read, so it completes texts and does not chat: {why}"
        ));
    }
    let summary = json!({
        "device": name(device),
        "architecture": loaded.summary.architecture,
        "n_parameters": loaded.summary.n_parameters,
        "precision": loaded.summary.precision,
        "bytes": loaded.summary.bytes,
    });
    let engine = Engine::start(
        loaded.model,
        Arc::new(loaded.text),
        EngineSettings {
            max_sequences: settings.slots.into(),
            reserved_interactive: reserved(settings.slots.into()),
            max_queued: settings.max_queued,
            cache_bytes: settings.cache_bytes,
            prefix_cache: !settings.no_prefix_cache,
            threads: settings.threads,
            step_tokens: step_tokens(device),
            ..EngineSettings::default()
        },
    )?;
    Ok(Served::writer(engine, vectors(path, settings), summary))
}

/// Tokens of a step at most: on a GPU it takes that many until its processors are busy.
fn step_tokens(device: Device) -> usize {
    match device {
        Device::Cpu => EngineSettings::default().step_tokens,
        Device::Cuda(_) => 2048,
    }
}

/// An eighth of the slots, and one at least, is kept for people.
fn reserved(slots: usize) -> usize {
    slots.div_ceil(8).min(slots - 1)
}

/// An encoder, moved to where it is to run.
fn encoder_of(encoder: Encoder, path: &Path, settings: &Settings) -> Result<Served, WorkerError> {
    let mut loaded = Some(encoder);
    let (encoder, device) = placed(settings.device, |device| {
        let encoder = loaded.take().map_or_else(|| Encoder::load(path), Ok)?;
        match device {
            Device::Cpu => Ok(encoder),
            Device::Cuda(number) => on_gpu(encoder, number),
        }
    })?;
    let info = encoder.info();
    let summary = json!({
        "name": info.name,
        "device": name(device),
        "architecture": info.family.to_string(),
        "n_parameters": info.n_parameters,
        "precision": encoder.precision(),
        "bytes": info.n_bytes,
        "n_dims": info.n_dims,
        "max_tokens": info.max_tokens,
        "pooling": info.pooling.to_string(),
        "images": info.images,
    });
    let at_once = settings.threads.unwrap_or_else(rayon::current_num_threads);
    let nested = is_nested(&json_in(path, "config.json"));
    let encoder = SharedEncoder::new(encoder, at_once, settings.max_queued, nested);
    Ok(Served::encoder(encoder, summary))
}

fn on_gpu(encoder: Encoder, number: usize) -> Result<Encoder, WorkerError> {
    // It says so when the card is too old for what is in this program.
    #[cfg(feature = "cuda")]
    mlk8s_generate::gpu(number)?;
    Ok(encoder.on_gpu(number)?)
}

/// Loads a decoder.
fn decoder(
    path: &Path,
    settings: &Settings,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Loaded, Device), WorkerError> {
    placed(settings.device, |device| {
        let how = LoadSettings {
            precision: settings.precision,
            device,
            instructions: settings.instructions,
            context: settings.context,
        };
        Ok(mlk8s_generate::load(path, &how, progress)?)
    })
}

/// Loads a model where it was asked for, or, where nothing was asked for, on the GPU if that goes well.
fn placed<T>(
    place: Place,
    mut on: impl FnMut(Device) -> Result<T, WorkerError>,
) -> Result<(T, Device), WorkerError> {
    let mut on = |device| on(device).map(|loaded| (loaded, device));
    match place {
        Place::Only(device) => on(device),
        Place::Auto if cfg!(feature = "cuda") => on(Device::Cuda(0)).or_else(|error| {
            report::notice(&format!("not on the GPU but on the processor: {error}"));
            on(Device::Cpu)
        }),
        Place::Auto => on(Device::Cpu),
    }
}

/// What a device is called.
fn name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(number) => format!("cuda:{number}"),
    }
}

/// How a decoder makes vectors, as sentence-transformers writes it down; `None` for one that only writes text.
fn vectors(path: &Path, settings: &Settings) -> Option<Vectors> {
    let config = json_in(path, "config.json");
    let saved = json_in(path, "1_Pooling/config.json");
    let pooling = settings.pooling.or_else(|| {
        if saved["pooling_mode_lasttoken"] == true {
            Some(Pooling::Last)
        } else if saved["pooling_mode_mean_tokens"] == true {
            Some(Pooling::Mean)
        } else {
            None
        }
    })?;
    // Qwen3's embedding models were trained so, and their files do not say it (Zhang et al. 2025).
    let qwen = config["model_type"] == "qwen3" && pooling == Pooling::Last;
    Some(Vectors {
        pooling,
        nested: qwen || is_nested(&config),
    })
}

/// Whether vectors can be cut, in the words that vLLM looks for.
fn is_nested(config: &Value) -> bool {
    config["is_matryoshka"] == true || config["matryoshka_dimensions"].is_array()
}

/// A file of settings; `Null` when it is not there. The model itself was read already, so nothing is hidden by that.
fn json_in(path: &Path, name: &str) -> Value {
    fs::read(path.join(name))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn files_tell_how_vectors_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Line::parse_from(["worker", "m"]).settings;
        assert_eq!(vectors(dir.path(), &settings), None);
        fs::create_dir(dir.path().join("1_Pooling")).unwrap();
        let saved = r#"{ "pooling_mode_mean_tokens": false, "pooling_mode_lasttoken": true }"#;
        fs::write(dir.path().join("1_Pooling/config.json"), saved).unwrap();
        let last = Vectors {
            pooling: Pooling::Last,
            nested: false,
        };
        assert_eq!(vectors(dir.path(), &settings), Some(last));
        fs::write(
            dir.path().join("config.json"),
            r#"{ "model_type": "qwen3" }"#,
        )
        .unwrap();
        assert!(vectors(dir.path(), &settings).is_some_and(|how| how.nested));
        let settings = Line::parse_from(["worker", "m", "--pooling", "mean"]).settings;
        let how = vectors(dir.path(), &settings).unwrap();
        assert_eq!((how.pooling, how.nested), (Pooling::Mean, false));
    }

    #[test]
    fn people_have_slots_of_their_own() {
        assert_eq!([1, 2, 8, 16, 64].map(reserved), [0, 1, 1, 2, 8]);
    }
}
