//! Who may use whom: a straight line, engines ← catalog ← kernel; one library in one place.

use crate::workspace::{CRATES, root, sources};

/// Our crates and which of our crates each may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("magics/corpus", &[]),
    ("magics/openie", &[]),
    ("magics/values", &[]),
    ("magics/graph", &["corpus", "openie", "values"]),
    ("magics/llm", &[]),
    ("magics/clustering", &["card"]),
    ("magics/lanes", &[]),
    ("magics/card", &[]),
    ("magics/engine", &["card", "lanes"]),
    ("magics/search", &[]),
    ("magics/models", &[]),
    ("magics/generate", &["card", "lanes"]),
    ("magics/worker", &["engine", "generate", "models"]),
    ("magics/cluster", &[]),
    (
        "magics/catalog",
        &[
            "cluster",
            "clustering",
            "corpus",
            "engine",
            "graph",
            "llm",
            "models",
            "search",
            "values",
        ],
    ),
    ("magics/prelude", &["values"]),
    ("magics/cells", &["prelude"]),
    ("kernel", &["catalog"]),
    ("devbox", &[]),
    (
        "tests",
        &[
            "clustering",
            "corpus",
            "engine",
            "openie",
            "search",
            "values",
            "graph",
            "catalog",
        ],
    ),
];

/// Libraries that one place alone may use, as they are named in code.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("zeromq::", &["kernel/src/wire", "tests"]),
    ("ra_ap_ide::", &["kernel/src/language/analysis"]),
    ("ra_ap_ide_db::", &["kernel/src/language/analysis"]),
    ("ra_ap_project_model::", &["kernel/src/language/analysis"]),
    ("ra_ap_syntax::", &["kernel/src/language"]),
    (
        "libloading::",
        &["magics/prelude", "magics/clustering", "magics/card/src"],
    ),
    (
        "polars::",
        &[
            "magics/values",
            "magics/graph",
            "magics/catalog",
            "magics/prelude",
            "tests",
        ],
    ),
    ("plotly::", &["magics/prelude"]),
    ("reqwest::", &["magics/llm", "magics/models"]),
    ("postgres::", &["magics/llm"]),
    ("tiktoken_rs::", &["magics/llm"]),
    ("rusqlite::", &["kernel/src", "magics/llm"]),
    (
        "candle_core::",
        &[
            "magics/card",
            "magics/engine",
            "magics/clustering",
            "magics/generate",
        ],
    ),
    ("axum::", &["magics/worker"]),
    ("kube::", &["magics/cluster"]),
    ("k8s_openapi::", &["magics/cluster"]),
    ("llguidance::", &["magics/generate"]),
    ("nvml_wrapper::", &["magics/catalog/src/gpu"]),
    (
        "cudarc::",
        &["magics/clustering", "magics/card/src", "tests/programs"],
    ),
    (
        "tokenizers::",
        &[
            "magics/engine",
            "magics/generate",
            "magics/worker/src/tests",
        ],
    ),
    ("tantivy::", &["magics/search"]),
];

#[test]
fn every_crate_uses_only_what_it_may() {
    for (folder, allowed) in MAY_USE {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let used = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("mlk8s-")?.split(['.', ' ']).next());
        for name in used {
            assert!(
                allowed.contains(&name),
                "`{folder}` uses `{name}`: a new edge is an edit of MAY_USE and of ARCHITECTURE.md, with its reason"
            );
        }
    }
    assert_eq!(
        MAY_USE.len(),
        CRATES.len(),
        "a crate is missing from MAY_USE"
    );
}

#[test]
fn a_library_stays_in_its_place() {
    for folder in CRATES {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            let place = path.strip_prefix(root()).unwrap().display().to_string();
            for (library, allowed) in ONLY_IN {
                let uses = code.iter().any(|line| {
                    let line = line.trim_start().trim_start_matches("pub ");
                    line.starts_with(&format!("use {library}"))
                        || line.contains(&format!(" {library}"))
                });
                let allowed_here = allowed.iter().any(|place_of| place.starts_with(place_of));
                assert!(
                    !uses || allowed_here || place.starts_with("tests/suite/layering"),
                    "{place} uses {library}"
                );
            }
        }
    }
}

#[test]
fn html_is_made_in_one_place() {
    let tags = ["<div", "<table", "<span", "<svg", "<figure"];
    for folder in [
        "magics/corpus/src/clean",
        "magics/graph",
        "magics/catalog",
        "kernel/src/wire",
        "kernel/src/handler",
    ] {
        let folder = root().join(folder);
        if !folder.is_dir() {
            continue;
        }
        for path in sources(&folder) {
            let text = std::fs::read_to_string(&path).unwrap();
            let own = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = own
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                assert!(
                    !tags.iter().any(|tag| line.contains(tag)),
                    "{}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn architecture_draws_the_same_picture() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (folder, allowed) in MAY_USE {
        let uses = if allowed.is_empty() {
            "none of ours".to_owned()
        } else {
            allowed.join(", ")
        };
        let row = format!("| `{folder}` | {uses} |");
        assert!(text.contains(&row), "ARCHITECTURE.md lacks the row: {row}");
    }
}
