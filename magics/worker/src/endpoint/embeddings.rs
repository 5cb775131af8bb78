//! `POST /v1/embeddings`: vectors of texts, and of pictures where the model sees them.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use mlk8s_generate::Class;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::inputs::{self, Input};
use crate::call::{Call, Tokens};
use crate::encoder::{Item, Leash, SharedEncoder};
use crate::fields::{Fields, wrong};
use crate::refusal::Refusal;
use crate::served::{Kind, Served, Writer};
use crate::state::Server;
use crate::{endpoint, options, writing};

/// Vectors of all inputs.
struct Vectors {
    rows: Vec<Vec<f32>>,
    tokens: usize,
    /// Texts that were longer than the model reads.
    cut: usize,
}

/// Makes a vector of each input.
pub(super) async fn answer(
    server: Arc<Server>,
    call: Call,
    body: Value,
) -> Result<Response, Refusal> {
    let fields = Fields::of(&body)?;
    let loaded = endpoint::model(&server, &fields)?;
    let class = options::urgency(&fields, &call)?;
    call.set_class(class);
    options::client(&fields, &call)?;
    let packed = match fields.text("encoding_format")? {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(Refusal::invalid(
                "encoding_format",
                "`encoding_format` must be `float` or `base64`",
            ));
        }
    };
    fields.refuse(
        &["messages"],
        "a picture is an `{\"image\": …}` among the inputs",
    )?;
    // Pictures in base64 may be many megabytes, and others are to be answered meanwhile.
    let inputs = tokio::task::block_in_place(|| inputs::read("input", fields.required("input")?))?;
    let dimensions = fields.count("dimensions", 1..=1 << 20)?;
    let deadline = Instant::from_std(call.deadline());
    let vectors = tokio::time::timeout_at(deadline, vectors(&server, &loaded, inputs, class))
        .await
        .map_err(|_| Refusal::timeout(server.limits.time))??;
    let rows = cut(vectors.rows, dimensions.map(|n| n as usize), &loaded)?;
    call.set_tokens(Tokens {
        prompt: vectors.tokens,
        ..Tokens::default()
    });
    let data: Vec<Value> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let embedding = if packed { pack(row).into() } else { json!(row) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let mut answer = json!({
        "object": "list",
        "data": data,
        "model": server.name(),
        "usage": { "prompt_tokens": vectors.tokens, "total_tokens": vectors.tokens },
    });
    if vectors.cut > 0 {
        answer["truncated"] = vectors.cut.into();
    }
    Ok(Json(answer).into_response())
}

async fn vectors(
    server: &Arc<Server>,
    loaded: &Arc<Served>,
    inputs: Vec<Input>,
    class: Class,
) -> Result<Vectors, Refusal> {
    match &loaded.kind {
        Kind::Encoder(encoder) => encoded(encoder, inputs, class).await,
        Kind::Writer(writer) => hidden(server, loaded, writer, inputs, class).await,
    }
}

async fn encoded(
    encoder: &SharedEncoder,
    inputs: Vec<Input>,
    class: Class,
) -> Result<Vectors, Refusal> {
    let sees = encoder.info().images;
    let item = |(at, input)| match input {
        Input::Text(text) => Ok(Item::Text(text)),
        Input::Picture(file) if sees => Ok(Item::Picture(file)),
        Input::Picture(_) => Err(blind(at)),
        Input::Tokens(_) => Err(Refusal::unsupported(
            "input",
            "this model has a tokenizer of its own: send texts, not token ids",
        )),
    };
    let items = inputs.into_iter().enumerate().map(item);
    let items = items.collect::<Result<Vec<_>, _>>()?;
    let rows = encoder.encode(items, class).await?;
    Ok(Vectors {
        tokens: rows.n_tokens as usize,
        cut: rows.n_truncated,
        rows: rows.rows().map(<[f32]>::to_vec).collect(),
    })
}

/// Input number `at` is a picture, and the model knows texts only.
fn blind(at: usize) -> Refusal {
    Refusal::unsupported(
        format!("input[{at}].image"),
        "this model does not see pictures: load a CLIP model",
    )
}

/// Vectors of a decoder, of length 1.
async fn hidden(
    server: &Arc<Server>,
    loaded: &Arc<Served>,
    writer: &Writer,
    inputs: Vec<Input>,
    class: Class,
) -> Result<Vectors, Refusal> {
    let Some(how) = writer.vectors else {
        return Err(Refusal::invalid(
            "model",
            format!(
                "`{}` writes text and makes no vectors; load an embedding model, or this one with `--pooling`",
                server.name()
            ),
        ));
    };
    let sequences = tokio::task::block_in_place(|| {
        let tokens = |(at, input)| match input {
            Input::Tokens(tokens) => Ok(tokens),
            Input::Text(words) => writing::tokens(&writer.engine, &words, true, "input"),
            Input::Picture(_) => Err(blind(at)),
        };
        inputs
            .into_iter()
            .enumerate()
            .map(tokens)
            .collect::<Result<Vec<_>, _>>()
    })?;
    let tokens = sequences.iter().map(Vec::len).sum();
    let model = Arc::clone(loaded);
    let leash = Leash(Arc::default());
    let gone = Arc::clone(&leash.0);
    // The engine answers on a thread of its own, and its caller waits.
    let work = tokio::task::spawn_blocking(move || match &model.kind {
        Kind::Writer(writer) => {
            let engine = &writer.engine;
            Some(engine.embed_unless(sequences, class, how.pooling, gone))
        }
        Kind::Encoder(_) => None,
    });
    let rows = match work.await {
        Ok(Some(Ok(rows))) => rows,
        Ok(Some(Err(error))) => return Err(writing::failure(&error, server)),
        Ok(None) | Err(_) => return Err(Refusal::internal("the engine failed on these texts")),
    };
    Ok(Vectors {
        rows: rows.into_iter().map(normalised).collect(),
        tokens,
        cut: 0,
    })
}

/// The first `dimensions` numbers of each row, of length 1 again, where the model was trained for it
/// (Kusupati et al. 2022).
fn cut(
    rows: Vec<Vec<f32>>,
    dimensions: Option<usize>,
    loaded: &Served,
) -> Result<Vec<Vec<f32>>, Refusal> {
    let has = rows.first().map_or(0, Vec::len);
    let Some(wanted) = dimensions.filter(|wanted| *wanted != has) else {
        return Ok(rows);
    };
    let nested = match &loaded.kind {
        Kind::Encoder(encoder) => encoder.nested,
        Kind::Writer(writer) => writer.vectors.is_some_and(|how| how.nested),
    };
    if !nested {
        let message = format!("vectors of this model have {has} numbers and cannot be cut");
        return Err(Refusal::unsupported("dimensions", message));
    }
    if wanted > has {
        return Err(wrong(
            "dimensions",
            &format!("from 1 to {has}"),
            &wanted.into(),
        ));
    }
    let shorter = |mut row: Vec<f32>| {
        row.truncate(wanted);
        normalised(row)
    };
    Ok(rows.into_iter().map(shorter).collect())
}

fn normalised(mut row: Vec<f32>) -> Vec<f32> {
    let length = row
        .iter()
        .map(|x| f64::from(*x).powi(2))
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        for x in &mut row {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    row
}

/// Little-endian numbers, as OpenAI packs them.
fn pack(row: &[f32]) -> String {
    let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
