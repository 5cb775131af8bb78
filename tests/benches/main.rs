//! Measures what the project promises; figures, not tests: they depend on the machine and on data kept elsewhere.
//!
//! `mlk8s-bench NAME…`, or without a name the list. Data sets are looked for in the directory that `MLK8S_BENCH_DATA`
//! names, else in `../shared/data` beside the checkout.

mod articles;
mod build;
mod carb;
mod client;
mod clustering;
mod engine;
mod kernel;
mod layout;
mod magic;
mod meaning;
mod models;
mod musique;
mod search;
mod tagger;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A measurement: its name, what it measures and how.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Path, &mut dyn Write) -> anyhow::Result<()>,
}

const ALL: &[Bench] = &[
    Bench {
        name: "carb",
        about: "triples: CaRB, development half (carb-dev)",
        run: carb::run,
    },
    Bench {
        name: "tagger",
        about: "word classes: UD-EWT, test part (ud-ewt)",
        run: tagger::run,
    },
    Bench {
        name: "musique",
        about: "guided retrieval: 100 questions of MuSiQue (musique)",
        run: musique::run,
    },
    Bench {
        name: "articles",
        about: "evidence for 72 questions about the articles beside the notebooks, guided and plain",
        run: articles::run,
    },
    Bench {
        name: "build",
        about: "text of 187 papers of 8,000 words to a stored graph: time and memory (musique)",
        run: build::run,
    },
    Bench {
        name: "layout",
        about: "layout of 30,000 edges: time",
        run: layout::run,
    },
    Bench {
        name: "magic",
        about: "the smallest magic, request to idle, next to ipykernel: time",
        run: magic::run,
    },
    Bench {
        name: "models",
        about: "builds and questions against a stand-in for a model: throughput, own cost, whoever waits",
        run: models::run,
    },
    Bench {
        name: "clustering",
        about: "k-means of rows and answers next to scikit-learn and faiss; encodings (categorical)",
        run: clustering::run,
    },
    Bench {
        name: "search",
        about: "a million vectors next to faiss, tokens of MiniLM next to ONNX Runtime",
        run: search::run,
    },
    Bench {
        name: "engine",
        about: "a model that writes next to llama.cpp, one that embeds next to ONNX Runtime; half an hour",
        run: engine::run,
    },
    Bench {
        name: "kernel",
        about: "start, cells, completion, memory, next to evcxr_jupyter and ipykernel; half an hour",
        run: kernel::run,
    },
];

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let names: Vec<String> = std::env::args().skip(1).collect();
    let result = if names.is_empty() {
        list(&mut out)
    } else {
        run(&names, &mut out)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere left to report a failure to report.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list(out: &mut dyn Write) -> anyhow::Result<()> {
    for bench in ALL {
        writeln!(out, "{:8}  {}", bench.name, bench.about)?;
    }
    Ok(())
}

fn run(names: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
    let data = std::env::var_os("MLK8S_BENCH_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    for name in names {
        let Some(bench) = ALL.iter().find(|bench| bench.name == name) else {
            let known: Vec<_> = ALL.iter().map(|bench| bench.name).collect();
            anyhow::bail!(
                "no measurement named `{name}`: there are {}",
                known.join(", ")
            );
        };
        writeln!(out, "{}: {}", bench.name, bench.about)?;
        (bench.run)(&data, out)?;
    }
    Ok(())
}
