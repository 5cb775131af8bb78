//! The reference of all magics as Markdown, made from the list itself.

use std::fmt::Write as _;

use crate::all::ALL;
use crate::magic::Entry;

/// The whole reference; `docs/magics.md` is this text.
pub fn reference() -> String {
    let mut text = String::from(
        "# Magics\n\nMade from the program: do not edit it, run `UPDATE_EXPECT=1 cargo devbox test reference`. `%help NAME` shows the same in a \
         notebook.\n\n| type | to |\n|---|---|\n",
    );
    for entry in ALL {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            text,
            "| [`{0}{1}`](#{1}) | {2} |",
            entry.sigil(),
            entry.name,
            entry.summary()
        );
    }
    for entry in ALL {
        describe(entry, &mut text);
    }
    text
}

fn describe(entry: &Entry, text: &mut String) {
    let _ = writeln!(text, "\n## {}\n\n{}.\n", entry.name, entry.summary());
    let command = entry.command();
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    if verbs.is_empty() {
        usage(entry, &[], text);
    }
    for verb in verbs {
        let _ = writeln!(text, "### {} {verb}\n", entry.name);
        usage(entry, &[verb], text);
    }
    if !entry.examples.is_empty() {
        text.push_str("Examples:\n\n");
    }
    for example in entry.examples {
        let _ = writeln!(text, "```text\n{}\n```\n{}\n", example.cell, example.about);
    }
}

fn usage(entry: &Entry, words: &[String], text: &mut String) {
    let help = entry.help(words);
    let usage = help.split("\nExamples:\n").next().unwrap_or(&help);
    let lines: Vec<&str> = usage.trim_end().lines().map(str::trim_end).collect();
    let _ = writeln!(text, "```text\n{}\n```\n", lines.join("\n"));
}
