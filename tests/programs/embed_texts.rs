//! Measures an encoder: `mlk8s-embed-texts MODEL_DIRECTORY TEXTS [THREADS] [ROUNDS]`, where TEXTS holds one text a line.
//!
//! Prints one JSON line with the medians over the rounds; `benches/embed_texts.py` prints the same for ONNX Runtime.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use mlk8s_engine::{Encoder, Unwatched};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, file, rest @ ..] = &arguments[..] else {
        return Err("usage: embed_bench MODEL_DIRECTORY TEXTS [THREADS] [ROUNDS]".into());
    };
    let n_threads: usize = rest.first().map_or(Ok(1), |n| n.parse())?;
    let n_rounds: usize = rest.get(1).map_or(Ok(5), |n| n.parse())?;
    let content = std::fs::read_to_string(file)?;
    let texts: Vec<&str> = content.lines().collect();
    let start = Instant::now();
    let encoder = Encoder::load(directory)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .build()?;
    let mut seconds = Vec::new();
    let mut cpu = Vec::new();
    let mut n_tokens = 0;
    for _ in 0..n_rounds {
        let (start, start_cpu) = (Instant::now(), cpu_seconds());
        let embeddings = pool.install(|| encoder.encode(&texts, &Unwatched))?;
        seconds.push(start.elapsed().as_secs_f64());
        cpu.push(cpu_seconds() - start_cpu);
        n_tokens = embeddings.n_tokens;
    }
    seconds.sort_by(f64::total_cmp);
    cpu.sort_by(f64::total_cmp);
    let (median, median_cpu) = (seconds[n_rounds / 2], cpu[n_rounds / 2]);
    writeln!(
        std::io::stdout(),
        r#"{{"engine": "mlk8s", "threads": {n_threads}, "texts": {}, "tokens": {n_tokens}, "median_s": {median:.3}, "cpu_s": {median_cpu:.3}, "tokens_per_s": {:.0}, "tokens_per_cpu_s": {:.0}, "load_ms": {load_ms:.0}}}"#,
        texts.len(),
        n_tokens as f64 / median,
        n_tokens as f64 / median_cpu,
    )?;
    Ok(())
}

/// Processor time that this process has used, in hundredths of a second; on a busy machine it says more than the clock.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}
