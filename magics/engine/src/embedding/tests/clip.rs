//! CLIP: both towers against plain operations, and pictures.

use std::path::PathBuf;

use candle_core::{D, Tensor};
use image::RgbImage;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;

use super::plain::{self, Names, Tower};
use super::tiny::{HEADS, INNER, LAYERS, POSITIONS, Tiny, WIDTH, n_words, texts};
use super::{Notes, difference, everywhere, unit};
use crate::{Encoder, EngineError, Family, Pooling, Unwatched};

const SIDE: usize = 12;
const PATCH: usize = 4;
const DIMS: usize = 21;

fn clip() -> Tiny {
    let mut tiny = Tiny::new();
    let n_positions = (SIDE / PATCH) * (SIDE / PATCH) + 1;
    let t = "text_model.embeddings.";
    let v = "vision_model.embeddings.";
    tiny.add(&format!("{t}token_embedding.weight"), &[n_words(), WIDTH]);
    tiny.add(
        &format!("{t}position_embedding.weight"),
        &[POSITIONS, WIDTH],
    );
    tiny.add(&format!("{v}class_embedding"), &[WIDTH]);
    tiny.add(
        &format!("{v}patch_embedding.weight"),
        &[WIDTH, 3, PATCH, PATCH],
    );
    tiny.add(
        &format!("{v}position_embedding.weight"),
        &[n_positions, WIDTH],
    );
    tiny.add("text_projection.weight", &[DIMS, WIDTH]);
    tiny.add("visual_projection.weight", &[DIMS, WIDTH]);
    for norm in [
        "text_model.final_layer_norm",
        "vision_model.pre_layrnorm",
        "vision_model.post_layernorm",
    ] {
        tiny.norm(norm, WIDTH);
    }
    for tower in ["text_model", "vision_model"] {
        for i in 0..LAYERS {
            let l = format!("{tower}.encoder.layers.{i}.");
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                tiny.linear(&format!("{l}self_attn.{part}"), WIDTH, WIDTH);
            }
            tiny.norm(&format!("{l}layer_norm1"), WIDTH);
            tiny.norm(&format!("{l}layer_norm2"), WIDTH);
            tiny.linear(&format!("{l}mlp.fc1"), WIDTH, INNER);
            tiny.linear(&format!("{l}mlp.fc2"), INNER, WIDTH);
        }
    }
    let tower = format!(
        r#""hidden_size": {WIDTH}, "intermediate_size": {INNER}, "num_attention_heads": {HEADS}, "num_hidden_layers": {LAYERS}"#
    );
    tiny.write(
        "config.json",
        &format!(
            r#"{{"model_type": "clip", "projection_dim": {DIMS}, "text_config": {{{tower}, "vocab_size": {},
            "max_position_embeddings": {POSITIONS}}}, "vision_config": {{{tower}, "image_size": {SIDE}, "patch_size": {PATCH}}}}}"#,
            n_words()
        ),
    );
    tiny.write(
        "preprocessor_config.json",
        &format!(r#"{{"size": {{"shortest_edge": {SIDE}}}}}"#),
    );
    let vocabulary = tiny.path().join("vocab.txt");
    let model = WordPiece::from_file(&vocabulary.to_string_lossy())
        .build()
        .unwrap();
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    let special = |name: &str, id| (name.to_owned(), id);
    tokenizer.with_post_processor(Some(BertProcessing::new(
        special("[SEP]", 3),
        special("[CLS]", 2),
    )));
    tokenizer
        .save(tiny.path().join("tokenizer.json"), false)
        .unwrap();
    tiny.save();
    tiny
}

/// The bytes of files.
fn read(files: &[PathBuf]) -> Vec<Vec<u8>> {
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

fn tower<'a>(tiny: &'a Tiny, name: &str, causal: bool) -> Tower<'a> {
    Tower {
        tensors: &tiny.tensors,
        n_heads: HEADS,
        epsilon: 1e-5,
        names: Names {
            layers: format!("{name}.encoder.layers."),
            qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            out: "self_attn.out_proj",
            norms: ["layer_norm1", "layer_norm2"],
            feed: ["mlp.fc1", "mlp.fc2"],
        },
        clip: true,
        causal,
    }
}

fn plain_text(tiny: &Tiny, text: &str) -> candle_core::Result<Vec<f32>> {
    let tower = tower(tiny, "text_model", true);
    let mut ids = vec![2];
    for word in text.split_whitespace() {
        let letters = word.bytes().map(|byte| u32::from(byte - b'a'));
        ids.extend(
            letters
                .enumerate()
                .map(|(i, n)| 4 + n + if i > 0 { 26 } else { 0 }),
        );
    }
    ids.push(3);
    let positions: Vec<u32> = (0..ids.len() as u32).collect();
    let table = |name: &str| &tiny.tensors[&format!("text_model.embeddings.{name}.weight")];
    let mut x = (plain::rows(table("token_embedding"), &ids)?
        + plain::rows(table("position_embedding"), &positions)?)?;
    for i in 0..LAYERS {
        x = tower.layer(i, &x)?;
    }
    let x = tower.norm("text_model.final_layer_norm", &x)?;
    Ok(unit(&plain::row(
        &tower.linear("text_projection", &x)?,
        ids.len() - 1,
    )))
}

fn plain_image(tiny: &Tiny, image: &RgbImage) -> candle_core::Result<Vec<f32>> {
    let tower = tower(tiny, "vision_model", false);
    let (mean, deviation) = (
        [0.481_454_66, 0.457_827_5, 0.408_210_73],
        [0.268_629_54, 0.261_302_6, 0.275_777_1],
    );
    let pixels = (0..3).flat_map(|c| {
        image
            .pixels()
            .map(move |pixel| (f32::from(pixel[c]) / 255.0 - mean[c]) / deviation[c])
    });
    let pixels =
        Tensor::from_iter(pixels, &candle_core::Device::Cpu)?.reshape((1, 3, SIDE, SIDE))?;
    let e = "vision_model.embeddings.";
    let patches = pixels
        .conv2d(
            &tiny.tensors[&format!("{e}patch_embedding.weight")],
            0,
            PATCH,
            1,
            1,
        )?
        .flatten_from(2)?
        .squeeze(0)?
        .t()?;
    let class = tiny.tensors[&format!("{e}class_embedding")].unsqueeze(0)?;
    let x = (Tensor::cat(&[class, patches.contiguous()?], 0)?
        + &tiny.tensors[&format!("{e}position_embedding.weight")])?;
    let mut x = tower.norm("vision_model.pre_layrnorm", &x)?;
    for i in 0..LAYERS {
        x = tower.layer(i, &x)?;
    }
    assert_eq!(x.dim(D::Minus1)?, WIDTH);
    let x = tower.norm("vision_model.post_layernorm", &x)?;
    Ok(unit(&plain::row(
        &tower.linear("visual_projection", &x)?,
        0,
    )))
}

#[test]
fn texts_agree_with_plain_operations() {
    let tiny = clip();
    for encoder in everywhere(&tiny) {
        let info = encoder.info();
        assert_eq!(
            (info.family, info.pooling, info.n_dims, info.images),
            (Family::Clip, Pooling::End, DIMS, true)
        );
        let texts = texts();
        let found = encoder.encode(&texts, &Unwatched).unwrap();
        for (text, row) in texts.iter().zip(found.rows()) {
            let wanted = plain_text(&tiny, text).unwrap();
            assert!(difference(row, &wanted) < 1e-5, "{text}");
        }
    }
}

#[test]
fn images_agree_with_plain_operations() {
    let tiny = clip();
    let mut random = fastrand::Rng::with_seed(5);
    let images: Vec<RgbImage> = (0..5)
        .map(|_| {
            RgbImage::from_fn(SIDE as u32, SIDE as u32, |_, _| {
                image::Rgb([(); 3].map(|()| random.u8(..)))
            })
        })
        .collect();
    let files: Vec<_> = (0..5)
        .map(|i| tiny.path().join(format!("{i}.{}", ["png", "webp"][i % 2])))
        .collect();
    for (image, file) in images.iter().zip(&files) {
        image.save(file).unwrap();
    }
    for encoder in everywhere(&tiny) {
        let notes = Notes::stop_after(usize::MAX);
        let found = encoder.encode_pictures(&read(&files), &notes).unwrap();
        assert_eq!(found.n_tokens, 50);
        for (image, row) in images.iter().zip(found.rows()) {
            assert!(difference(row, &plain_image(&tiny, image).unwrap()) < 1e-5);
        }
        let last = notes.steps.into_inner().unwrap().pop();
        assert_eq!(last, Some((5, 5, "images".to_owned())));
    }
}

#[test]
fn the_middle_of_a_wide_image_counts() {
    let tiny = clip();
    let encoder = Encoder::load(tiny.path()).unwrap();
    // Three times as wide as high: the margins, of another colour, are cut away.
    let grey = image::Rgb([90, 120, 200]);
    let wide = RgbImage::from_fn(180, 60, |x, _| {
        if x.abs_diff(90) < 45 {
            grey
        } else {
            image::Rgb([255, 0, 0])
        }
    });
    let small = RgbImage::from_pixel(SIDE as u32, SIDE as u32, grey);
    let files = ["wide.png", "small.jpeg"].map(|name| tiny.path().join(name));
    wide.save(&files[0]).unwrap();
    small.save(&files[1]).unwrap();
    let found = encoder.encode_pictures(&read(&files), &Unwatched).unwrap();
    // JPEG may be off by a step of colour.
    assert!(difference(found.row(0), found.row(1)) < 0.05);
}

#[test]
fn what_is_no_picture_is_named_by_its_number() {
    let tiny = clip();
    let encoder = Encoder::load(tiny.path()).unwrap();
    let path = tiny.path().join("a.png");
    let save = |width: u32, height: u32| {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 9]))
            .save(&path)
            .unwrap();
        std::fs::read(&path).unwrap()
    };
    let good = save(90, 60);
    let short = good[..good.len() / 2].to_vec();
    let thin = save(4000, 1);
    // A sound header that promises 60,000 × 60,000 pixels: IHDR and its checksum are bytes 12 to 33.
    let mut vast = good.clone();
    vast[16..24].copy_from_slice(&[0, 0, 234, 96, 0, 0, 234, 96]);
    let sum = crc32(&vast[12..29]);
    vast[29..33].copy_from_slice(&sum.to_be_bytes());
    for broken in [short, thin, vast, b"no picture".to_vec(), Vec::new()] {
        let failed = encoder.encode_pictures(&[&good, &broken], &Unwatched);
        assert!(
            matches!(failed, Err(EngineError::Picture { number: 1, .. })),
            "{failed:?}"
        );
    }
    let bert = Tiny::bert("", "bert");
    let encoder = Encoder::load(bert.path()).unwrap();
    let blind = encoder.encode_pictures(&[&good], &Unwatched);
    assert!(matches!(blind, Err(EngineError::NoImages { .. })));
}

/// The checksum of PNG chunks (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}
