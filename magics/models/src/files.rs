//! The files of a model: which are needed of a repository, and which are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::ModelsError;
use crate::reference::{is_gguf, is_inside};

/// Files beside the weights that say what a model is and how it reads text; all of them small.
const DESCRIPTIONS: [&str; 11] = [
    "config.json",
    "generation_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "preprocessor_config.json",
    // Its first lines name the licence.
    "README.md",
];
/// The weights in one file, and the list of the files where they are in several.
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = ".safetensors.index.json";
/// The longest list of weights that is read.
const LONGEST_INDEX: u64 = 64 << 20;

/// A model on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// What it is called, as it was asked for.
    pub name: String,
    /// Commit, where it came from the hub.
    pub revision: Option<String>,
    /// What a loader is given: the directory, or the `.gguf` file.
    pub path: PathBuf,
    /// Its files, by name.
    pub files: Vec<ModelFile>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// Its name inside the model, with `/` between folders.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

impl Files {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The file of that name.
    pub fn get(&self, name: &str) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The files with weights.
    pub fn weights(&self) -> impl Iterator<Item = &ModelFile> {
        self.files
            .iter()
            .filter(|file| file.name.ends_with(".safetensors") || is_gguf(&file.name))
    }

    /// A `.gguf` file.
    pub(crate) fn of_gguf(name: String, path: &Path) -> Result<Self, ModelsError> {
        let bytes = length(path)?;
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            name,
            revision: None,
            path: path.to_owned(),
            files: vec![ModelFile {
                name: file,
                path: path.to_owned(),
                bytes,
            }],
        })
    }

    /// The model in a directory, with everything that it needs; fails when weights or `config.json` are missing.
    pub(crate) fn of_directory(name: String, directory: &Path) -> Result<Self, ModelsError> {
        let there = listing(directory)?;
        let names: Vec<&str> = there.iter().map(String::as_str).collect();
        let Some(weights) = Weights::among(&names) else {
            return only_gguf(name, directory, &there);
        };
        let weights = match weights {
            Weights::Named(files) => files,
            Weights::Index(index) => shards(&directory.join(index))?,
        };
        let mut files = Vec::new();
        let described = there.iter().filter(|file| is_description(file));
        for file in described.chain(&weights) {
            let path = directory.join(file);
            let bytes = length(&path)?;
            files.push(ModelFile {
                name: file.clone(),
                path,
                bytes,
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if !there.contains(&"config.json".to_owned()) {
            return Err(ModelsError::Missing {
                path: directory.to_owned(),
                what: "config.json".to_owned(),
            });
        }
        Ok(Self {
            name,
            revision: None,
            path: directory.to_owned(),
            files,
        })
    }
}

/// Where the weights of a repository are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// In these files.
    Named(Vec<String>),
    /// In the files that this one lists.
    Index(String),
}

impl Weights {
    /// Chooses among all files of a repository; none when it has no safetensors at its top.
    ///
    /// One file goes before an index, and an index before whatever else is there: repositories keep the same weights in
    /// several forms (`consolidated.safetensors`), of which one is needed.
    pub(crate) fn among(files: &[&str]) -> Option<Self> {
        if files.contains(&WEIGHTS) {
            return Some(Self::Named(vec![WEIGHTS.to_owned()]));
        }
        let mut top: Vec<&&str> = files.iter().filter(|file| !file.contains('/')).collect();
        top.sort();
        let index = top
            .iter()
            .find(|file| file.starts_with("model.") && file.ends_with(INDEX))
            .or_else(|| top.iter().find(|file| file.ends_with(INDEX)));
        if let Some(index) = index {
            return Some(Self::Index((**index).to_owned()));
        }
        let named: Vec<String> = top
            .iter()
            .filter(|file| file.ends_with(".safetensors"))
            .map(|file| (**file).to_owned())
            .collect();
        (!named.is_empty()).then_some(Self::Named(named))
    }
}

/// Whether a file of a repository says what the model is, as opposed to weights, other formats and pictures.
pub(crate) fn is_description(file: &str) -> bool {
    let is_json = Path::new(file)
        .extension()
        .is_some_and(|kind| kind == "json");
    DESCRIPTIONS.contains(&file)
        || file.ends_with(INDEX) && !file.contains('/')
        || is_json && file.starts_with("tokenizer") && !file.contains('/')
        || is_json && file.starts_with("1_Pooling/")
}

/// The files that an index of weights lists.
pub(crate) fn shards(index: &Path) -> Result<Vec<String>, ModelsError> {
    if length(index)? > LONGEST_INDEX {
        return Err(ModelsError::damaged(
            index,
            "it is too long for a list of weights",
        ));
    }
    let text = fs::read(index).map_err(|source| ModelsError::file(index, source))?;
    let json: Value = serde_json::from_slice(&text)
        .map_err(|error| ModelsError::damaged(index, error.to_string()))?;
    let files: Option<BTreeSet<&str>> = json["weight_map"]
        .as_object()
        .and_then(|map| map.values().map(Value::as_str).collect());
    let files = files.filter(|files| !files.is_empty()).ok_or_else(|| {
        ModelsError::damaged(index, "it has no `weight_map` from weights to files")
    })?;
    if let Some(bad) = files
        .iter()
        .find(|file| !is_inside(file) || !file.ends_with(".safetensors"))
    {
        return Err(ModelsError::damaged(
            index,
            format!("it lists `{bad}`, which is no file beside it"),
        ));
    }
    Ok(files.into_iter().map(str::to_owned).collect())
}

/// How long a file is, through links.
pub(crate) fn length(path: &Path) -> Result<u64, ModelsError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(ModelsError::Missing {
            path: path.parent().unwrap_or(path).to_owned(),
            what: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }),
        Err(source) => Err(ModelsError::file(path, source)),
    }
}

/// Files at the top of a directory and one folder below, with `/` between.
fn listing(directory: &Path) -> Result<Vec<String>, ModelsError> {
    let failed = |source| ModelsError::file(directory, source);
    let mut out = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() {
            out.push(name);
            continue;
        }
        for inner in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            out.push(format!("{name}/{}", inner.file_name().to_string_lossy()));
        }
    }
    out.sort();
    Ok(out)
}

/// A directory without safetensors: its only `.gguf` file.
fn only_gguf(name: String, directory: &Path, there: &[String]) -> Result<Files, ModelsError> {
    let ggufs: Vec<&String> = there.iter().filter(|file| is_gguf(file)).collect();
    match ggufs.as_slice() {
        [] => Err(ModelsError::NoWeights {
            name,
            files: there.to_vec(),
        }),
        [one] => Files::of_gguf(name, &directory.join(one)),
        several => Err(ModelsError::Choose {
            files: several
                .iter()
                .map(|file| ((*file).clone(), length(&directory.join(file)).unwrap_or(0)))
                .collect(),
            name,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_model_needs_is_taken() {
        for file in [
            "config.json",
            "tokenizer_config.json",
            "1_Pooling/config.json",
            "model.safetensors.index.json",
        ] {
            assert!(is_description(file), "{file}");
        }
        for file in [
            "pytorch_model.bin",
            "onnx/config.json",
            "tf_model.h5",
            "model.pt",
            "openvino/tokenizer.json",
            "tokenizer/tokenizer.json",
            "x/model.safetensors.index.json",
            "training_args.bin",
            "1_Pooling/x.bin",
        ] {
            assert!(!is_description(file), "{file}");
        }
    }

    #[test]
    fn weights_that_are_there_twice_are_taken_once() {
        let named = |files: &[&str]| {
            Some(Weights::Named(
                files.iter().map(|file| (*file).to_owned()).collect(),
            ))
        };
        assert_eq!(
            Weights::among(&["consolidated.safetensors", "model.safetensors"]),
            named(&["model.safetensors"])
        );
        assert_eq!(
            Weights::among(&[
                "consolidated.safetensors",
                "model-1.safetensors",
                "model.safetensors.index.json"
            ]),
            Some(Weights::Index("model.safetensors.index.json".to_owned()))
        );
        assert_eq!(
            Weights::among(&["b.safetensors", "a.safetensors"]),
            named(&["a.safetensors", "b.safetensors"])
        );
        assert_eq!(
            Weights::among(&["pytorch_model.bin", "onnx/x.safetensors"]),
            None
        );
    }

    #[test]
    fn a_directory_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        let read = || Files::of_directory("m".to_owned(), folder.path());
        write("pytorch_model.bin", "x");
        assert!(
            matches!(read(), Err(ModelsError::NoWeights { files, .. }) if files == ["pytorch_model.bin"])
        );
        write("a.gguf", "12");
        assert_eq!(read().unwrap().path, folder.path().join("a.gguf"));
        write("b.gguf", "1");
        let error = read().unwrap_err();
        assert!(
            error.to_string().contains("a.gguf  2 B\n  b.gguf  1 B"),
            "{error}"
        );
        write(
            "model.safetensors.index.json",
            r#"{"weight_map":{"x":"../a.safetensors"}}"#,
        );
        assert!(matches!(read(), Err(ModelsError::Damaged { .. })));
        write(
            "model.safetensors.index.json",
            r#"{"weight_map":{"x":"m-1.safetensors"}}"#,
        );
        assert!(
            matches!(read(), Err(ModelsError::Missing { what, .. }) if what == "m-1.safetensors")
        );
        write("m-1.safetensors", "123");
        assert!(matches!(read(), Err(ModelsError::Missing { what, .. }) if what == "config.json"));
        write("config.json", "{}");
        let files = read().unwrap();
        assert_eq!(files.weights().map(|file| file.bytes).sum::<u64>(), 3);
        assert!(files.get("pytorch_model.bin").is_none());
    }
}
