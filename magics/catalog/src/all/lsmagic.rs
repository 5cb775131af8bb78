//! `%lsmagic`: the list of all magics.

use clap::Parser;

use super::ALL;
use crate::call::Call;
use crate::error::MagicError;
use crate::magic::{Example, Magic};
use crate::view::{Column, Table, ToView, View};

/// List every magic
#[derive(Debug, Parser)]
pub(super) struct LsMagic {}

/// The list.
pub(super) struct Listed;

impl Magic for LsMagic {
    const EXAMPLES: &'static [Example] = &[Example {
        after: &[],
        cell: "%lsmagic",
        about: "every magic with what it does",
        shows: "%%ask",
    }];
    type Outcome = Listed;

    fn run(self, _call: &mut Call) -> Result<Listed, MagicError> {
        Ok(Listed)
    }
}

impl ToView for Listed {
    fn to_view(&self) -> View {
        let rows = ALL.iter().map(|entry| {
            let typed = format!("{}{}", entry.sigil(), entry.name);
            vec![typed, entry.summary()]
        });
        View::Table(Table {
            columns: vec![Column::text("magic"), Column::text("what it does")],
            rows: rows.collect(),
            note: "%help NAME explains one".to_owned(),
            ..Table::default()
        })
    }
}
