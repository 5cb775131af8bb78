//! What every source file keeps to.

use crate::workspace::{CRATES, root, sources};

/// Longest file, in lines.
const MAX_LINES: usize = 400;

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    for folder in CRATES {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("//! "),
                "{} does not begin with `//! ` and its purpose",
                path.display()
            );
            let n_lines = text.lines().count();
            assert!(
                n_lines <= MAX_LINES,
                "{} has {n_lines} lines, {MAX_LINES} are allowed",
                path.display()
            );
        }
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let main = std::fs::read_to_string(root().join("tests/suite/main.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("tests/suite")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let rust = path.extension().is_some_and(|ending| ending == "rs");
        if rust && name != "main" {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/suite/main.rs does not know `{name}`"
            );
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!(", "unimplemented!(", "FIXME", "XXX", "#[ignore"];
    for folder in CRATES {
        for path in sources(&root().join(folder)) {
            if path.ends_with("suite/tidy.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in words {
                assert!(!text.contains(word), "{} holds `{word}`", path.display());
            }
        }
    }
}
