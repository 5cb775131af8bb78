//! What a model of 8 billion weights does in a second on this card.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mlk8s_generate::{
    Batch, Class, Device, Engine, EngineSettings, Event, Forward, LoadSettings, Loaded, PAGE, Part,
    Precision, Request, Sampling, load,
};

use crate::models::{Stored, eight_billion, small};
use crate::{Failure, tell};

/// Memory for keys and values: 64 sequences of 1,024 tokens, or one of 32,768 beside others.
const N_PAGES: usize = 2304;
/// The job of the original: this many texts, of so many tokens, with so long an answer.
const JOB: (usize, usize, usize) = (16_754, 192, 54);
/// Minutes that it may take.
const MINUTES: f64 = 15.0;
/// How many of its texts are run, and how many in a rehearsal.
const SAMPLE: (usize, usize) = (512, 32);
/// Sequences at once.
const AT_ONCE: usize = 64;

/// Times everything; says whether the targets are reached.
pub(crate) fn run(folder: &Path, device: Device, out: &mut dyn Write) -> Result<bool, Failure> {
    let began = Instant::now();
    let (model, sample) = match device {
        Device::Cuda(_) => (eight_billion(), SAMPLE.0),
        Device::Cpu => (small(), SAMPLE.1),
    };
    model.write(folder, Stored::Bf16)?;
    let seconds = began.elapsed().as_secs_f64();
    report(out, "writing the random model", seconds, "s", 0.0);
    let began = Instant::now();
    let settings = LoadSettings {
        precision: Precision::Stored,
        device,
        instructions: None,
        context: None,
    };
    let Loaded {
        mut model,
        text,
        summary,
    } = load(folder, &settings, &mut |_, _| {})?;
    report(out, "loading it", began.elapsed().as_secs_f64(), "s", 0.0);
    let bytes = summary.bytes as f64 / 1e9;
    report(out, "weights on the card", bytes, "GB", 0.0);
    model.reserve(N_PAGES)?;
    let mut reached = steps(model.as_mut(), out)?;
    let minutes = job(model, text, sample)?;
    reached &= minutes < MINUTES;
    let what = format!("the original's job, projected from {sample} of its texts");
    report(out, &what, minutes, "min", MINUTES);
    Ok(reached)
}

/// A figure, and what it shall reach; 0 where nothing is asked.
fn report(out: &mut dyn Write, what: &str, value: f64, unit: &str, target: f64) {
    let wanted = if target > 0.0 {
        format!("{target}")
    } else {
        String::new()
    };
    tell(out, &["time", what, &format!("{value:.1}"), unit, &wanted]);
}

/// Times steps without the engine.
fn steps(model: &mut dyn Forward, out: &mut dyn Write) -> Result<bool, Failure> {
    let vocabulary = model.shape().vocabulary as u32;
    let mut runs = Runs {
        model,
        random: fastrand::Rng::with_seed(5),
        vocabulary,
    };
    // What is compiled and found out at first use.
    runs.decode(1, 32, 3, true)?;
    runs.prefill(1, 2048, 1)?;
    let decodes = [
        (1, 256, 128, 120.0),
        (1, 16_384, 32, 0.0),
        (8, 256, 64, 0.0),
        (AT_ONCE, 256, 64, 3000.0),
    ];
    let mut reached = true;
    for (n, seen, count, target) in decodes {
        let value = runs.decode(n, seen, count, true)?;
        reached &= value >= target;
        let what = format!("decode, batch {n}, {seen} tokens seen");
        report(out, &what, value, "tokens/s", target);
    }
    // The difference to the line before is what logits cost.
    let value = runs.decode(AT_ONCE, 256, 64, false)?;
    let what = format!("decode, batch {AT_ONCE}, 256 tokens seen, without logits");
    report(out, &what, value, "tokens/s", 0.0);
    for (n, len) in [(1, 2048), (10, 192)] {
        let value = runs.prefill(n, len, 8)?;
        reached &= value >= 30_000.0;
        let what = format!("prefill, steps of {n} × {len} tokens");
        report(out, &what, value, "tokens/s", 30_000.0);
    }
    Ok(reached)
}

/// Steps of one model.
struct Runs<'a> {
    model: &'a mut dyn Forward,
    random: fastrand::Rng,
    vocabulary: u32,
}

impl Runs<'_> {
    fn tokens(&mut self, n: usize) -> Vec<u32> {
        (0..n)
            .map(|_| self.random.u32(0..self.vocabulary))
            .collect()
    }

    /// A batch of parts of equal length, each with pages of its own.
    fn batch(&mut self, n: usize, len: usize, length: usize) -> Batch {
        let pages = length.div_ceil(PAGE) as u32;
        let part = |number: usize| Part {
            start: number * len,
            len,
            length,
            pages: (number as u32 * pages..(number as u32 + 1) * pages).collect(),
        };
        Batch {
            tokens: self.tokens(n * len),
            parts: (0..n).map(part).collect(),
            rows: (1..=n).map(|number| number * len - 1).collect(),
        }
    }

    /// Tokens a second of `steps` steps in which each of `n` sequences, `seen` long, grows by one token.
    ///
    /// Without `heads` no logits are wanted. What stands in the cache before does not matter for the time.
    fn decode(&mut self, n: usize, seen: usize, steps: usize, heads: bool) -> Result<f64, Failure> {
        let mut took = 0.0;
        for step in 0..steps {
            let mut batch = self.batch(n, 1, seen + step % PAGE + 1);
            if !heads {
                batch.rows.clear();
            }
            let began = Instant::now();
            let logits = self.model.forward(&batch)?;
            took += began.elapsed().as_secs_f64();
            // As the engine does when it has drawn.
            self.model.recycle(logits);
        }
        Ok((n * steps) as f64 / took)
    }

    /// Tokens a second of `steps` steps that each begin `n` prompts of `len` tokens.
    fn prefill(&mut self, n: usize, len: usize, steps: usize) -> Result<f64, Failure> {
        let mut took = 0.0;
        for _ in 0..steps {
            let batch = self.batch(n, len, len);
            let began = Instant::now();
            self.model.forward(&batch)?;
            took += began.elapsed().as_secs_f64();
        }
        Ok((n * len * steps) as f64 / took)
    }
}

/// Minutes for the whole job, through the engine with all that belongs to it.
fn job(model: Box<dyn Forward>, text: mlk8s_generate::Text, sample: usize) -> Result<f64, Failure> {
    let (texts, prompt, answer) = JOB;
    let vocabulary = model.shape().vocabulary as u32;
    let settings = EngineSettings {
        max_sequences: AT_ONCE,
        step_tokens: 2048,
        cache_bytes: (N_PAGES * PAGE * model.shape().bytes_per_token) as u64,
        ..EngineSettings::default()
    };
    let engine = Engine::start(model, Arc::new(text), settings)?;
    let mut random = fastrand::Rng::with_seed(7);
    let began = Instant::now();
    let mut events = Vec::new();
    for _ in 0..sample {
        events.push(engine.submit(Request {
            prompt: (0..prompt).map(|_| random.u32(0..vocabulary)).collect(),
            max_tokens: answer,
            sampling: Sampling::greedy(),
            stop: Vec::new(),
            constraint: None,
            logprobs: None,
            class: Class::Batch,
            client: "job".to_owned(),
            ignore_eos: true,
        })?);
    }
    for events in &mut events {
        while let Some(event) = events.next_blocking() {
            if let Event::Failed(error) = event {
                return Err(error.into());
            }
        }
    }
    Ok(began.elapsed().as_secs_f64() / 60.0 * texts as f64 / sample as f64)
}
