//! What a model's directory says.

use serde_json::{Value, json};

use crate::{GenerateError, Text, toy};

/// A directory of its own, gone with the value.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, String)]) -> Self {
        let path =
            std::env::temp_dir().join(format!("generate-text-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (file, contents) in files {
            std::fs::write(path.join(file), contents).unwrap();
        }
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tokenizer() -> (&'static str, String) {
    ("tokenizer.json", toy::tokenizer().to_string(false).unwrap())
}

#[test]
fn all_files_together_say_what_is_special() {
    let settings = json!({"bos_token": {"content": "<bos>"}, "eos_token": "<eos>", "add_bos_token": true,
        "chat_template": [{"name": "tools", "template": "no"}, {"name": "default", "template": "{{ bos_token }}yes{{ eos_token }}"}]});
    let directory = Directory::new(
        "all",
        &[
            tokenizer(),
            ("tokenizer_config.json", settings.to_string()),
            (
                "generation_config.json",
                json!({"eos_token_id": [256, 33]}).to_string(),
            ),
            ("config.json", json!({"eos_token_id": 34}).to_string()),
        ],
    );
    let text = Text::read(&directory.0).unwrap();
    assert_eq!(text.special().eos, [33, 34, 256]);
    assert_eq!(text.special().bos, Some(257));
    assert_eq!(text.encode("a", true).unwrap(), [257, 97]);
    assert_eq!(text.chat(&[], &Value::Null).unwrap(), "<bos>yes<eos>");
    std::fs::write(directory.0.join("chat_template.jinja"), "own file").unwrap();
    assert_eq!(
        Text::read(&directory.0)
            .unwrap()
            .chat(&[], &Value::Null)
            .unwrap(),
        "own file"
    );
}

#[test]
fn what_is_missing_or_broken_is_named() {
    let directory = Directory::new("broken", &[tokenizer()]);
    let text = Text::read(&directory.0).unwrap();
    assert!(!text.has_template());
    assert!(matches!(
        text.chat(&[], &Value::Null),
        Err(GenerateError::Template { .. })
    ));
    std::fs::write(directory.0.join("config.json"), "{").unwrap();
    let error = Text::read(&directory.0).unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");
    std::fs::remove_file(directory.0.join("tokenizer.json")).unwrap();
    let error = Text::read(&directory.0).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}
