//! What holds for every magic of the list.

use std::collections::BTreeSet;

use mlk8s_catalog::ALL;

#[test]
fn names_are_unique_and_plain() {
    let names: BTreeSet<&str> = ALL.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), ALL.len());
    for name in names {
        assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{name}");
    }
}

#[test]
fn every_magic_has_a_short_summary_and_an_example() {
    for entry in ALL {
        let summary = entry.summary();
        assert!(
            !summary.is_empty() && summary.len() <= 72,
            "{}: `{summary}`",
            entry.name
        );
        assert!(!summary.ends_with('.'), "{}: no final stop", entry.name);
        assert!(!entry.examples.is_empty(), "{} has no example", entry.name);
    }
}

#[test]
fn clap_accepts_every_command_line() {
    for entry in ALL {
        entry.command().debug_assert();
    }
}

#[test]
fn every_argument_is_explained() {
    for entry in ALL {
        let command = entry.command();
        for shown in command.get_subcommands().chain([&command]) {
            for argument in shown.get_arguments() {
                let told = argument.get_help().is_some() || argument.get_id() == "help";
                assert!(
                    told,
                    "{} {}: `{}`",
                    entry.name,
                    shown.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
