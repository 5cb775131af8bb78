//! The trait that every magic implements, and the table entry that forgets its type.

use std::fmt::Write as _;

use clap::Parser;
use clap::error::ErrorKind as ErrorWas;

use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::view::{ToView, View};

/// A magic: a struct that *is* its arguments; its doc comment is its help.
pub trait Magic: Parser {
    /// Cells that show how it is used; each runs as a test.
    const EXAMPLES: &'static [Example];
    /// What it yields.
    type Outcome: ToView;
    /// Does the work.
    fn run(self, call: &mut Call) -> Result<Self::Outcome, MagicError>;
}

/// A cell that shows how a magic is used.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Cells to run before, in order.
    pub after: &'static [&'static str],
    /// The cell.
    pub cell: &'static str,
    /// What it is for, in a few words.
    pub about: &'static str,
    /// A stretch of the text that comes out.
    pub shows: &'static str,
}

/// Whether a magic stands on one line or owns its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `%name arguments`.
    Line,
    /// `%%name arguments` and a body.
    Cell,
}

/// One row of the list of all magics.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What one types after `%`.
    pub name: &'static str,
    /// How it is typed.
    pub form: Form,
    /// Its examples.
    pub examples: &'static [Example],
    command: fn() -> clap::Command,
    run: fn(clap::Command, Vec<String>, &mut Call) -> Result<View, MagicError>,
}

impl Entry {
    /// The entry of the magic `M`.
    pub const fn of<M: Magic>(name: &'static str, form: Form) -> Entry {
        Entry {
            name,
            form,
            examples: M::EXAMPLES,
            command: M::command,
            run: parse_and_run::<M>,
        }
    }

    /// The command line it understands, named as it is typed.
    pub fn command(&self) -> clap::Command {
        let typed = format!("{}{}", self.sigil(), self.name);
        (self.command)()
            .name(typed.clone())
            .bin_name(typed)
            .no_binary_name(true)
            .disable_help_subcommand(true)
            .color(clap::ColorChoice::Never)
    }

    /// Runs it with `arguments`, the words after its name.
    pub fn run(&self, arguments: &str, call: &mut Call) -> Result<View, MagicError> {
        let words = split_words(arguments)?;
        if words.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(View::Text(self.help(&words)));
        }
        (self.run)(self.command(), words, call)
    }

    /// The help text; for a magic with verbs, of the verb that `words` name.
    pub fn help(&self, words: &[String]) -> String {
        let mut command = self.command();
        command.build();
        let verb = words
            .iter()
            .find_map(|word| command.find_subcommand(word).cloned());
        let mut shown = verb.unwrap_or(command);
        let mut text = shown.render_long_help().to_string();
        let examples = self.examples.iter().filter(|e| !e.cell.is_empty());
        for (index, example) in examples.enumerate() {
            if index == 0 {
                text.push_str("\nExamples:\n");
            }
            let cell = example.cell.replace('\n', "\n  ");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {cell}\n      {}", example.about);
        }
        text
    }

    /// What it does, in one line.
    pub fn summary(&self) -> String {
        self.command()
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// `%` or `%%`.
    pub fn sigil(&self) -> &'static str {
        match self.form {
            Form::Line => "%",
            Form::Cell => "%%",
        }
    }
}

fn parse_and_run<M: Magic>(
    command: clap::Command,
    words: Vec<String>,
    call: &mut Call,
) -> Result<View, MagicError> {
    let typed = command.get_name().to_owned();
    let parsed = command
        .try_get_matches_from(words)
        .and_then(|matches| M::from_arg_matches(&matches))
        .map_err(|error| usage_error(&error, &typed))?;
    Ok(parsed.run(call)?.to_view())
}

/// Turns clap's report into our form: the first line says what failed, the rest what to type, as in a cell.
fn usage_error(error: &clap::Error, typed: &str) -> MagicError {
    let report = error.to_string();
    let is_without_verb = error.kind() == ErrorWas::DisplayHelpOnMissingArgumentOrSubcommand;
    let report = report.strip_prefix("error: ").unwrap_or(&report);
    let (message, rest) = report.split_once("\n\n").unwrap_or((report, ""));
    let lines = rest.lines().map(str::trim).filter(|line| {
        // Advice for command lines, which have no cells.
        !line.is_empty() && !line.starts_with("tip: to pass") && !line.starts_with("For more")
    });
    let mut hint: Vec<String> = lines
        .map(|line| line.strip_prefix("tip: ").unwrap_or(line).to_owned())
        .collect();
    hint.push(format!("`{typed} --help` tells more"));
    if is_without_verb {
        let message = format!("`{typed}` alone says not what to do: a command is missing");
        return MagicError::new(ErrorKind::Usage, message).with_hint(hint.join("\n"));
    }
    MagicError::new(ErrorKind::Usage, message.trim()).with_hint(hint.join("\n"))
}

/// Splits a command line into words as a shell does: blanks separate, quotes join, a backslash escapes.
fn split_words(line: &str) -> Result<Vec<String>, MagicError> {
    shlex::split(line).ok_or_else(|| {
        MagicError::new(ErrorKind::Usage, "a quotation mark is not closed").with_hint(
            "put the whole argument between two quotation marks, or a backslash before a single one",
        )
    })
}
