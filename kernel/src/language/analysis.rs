//! rust-analyzer as a library: one file that changes, in front of crates that do not.
//!
//! The crates are marked as libraries. For each key that is typed salsa then looks at what depends on our file and
//! takes the rest as it stands; without the mark it would ask 600 crates again whether they have changed.

mod completion;
mod project;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use pulldown_cmark::{Parser, html};
use ra_ap_ide::{
    Analysis, AnalysisHost, FilePosition, FileRange, HoverConfig, HoverDocFormat, RaFixtureConfig,
    SubstTyLen, TextRange, TextSize,
};
use ra_ap_ide_db::ChangeWithProcMacros;

pub(super) use completion::Found;
use project::Project;

/// The text that is looked at: our file's, with the place of the cell in it.
pub(super) struct Cell<'a> {
    /// Items of the session.
    pub(super) items: &'a str,
    /// `let` lines of the session.
    pub(super) variables: &'a str,
    pub(super) code: &'a str,
    /// A byte of `code`.
    pub(super) cursor: usize,
}

/// rust-analyzer, with a project.
pub(super) struct Analyzer {
    host: AnalysisHost,
    project: Project,
}

impl Analyzer {
    /// Loads the prelude, the standard library and their sources, in the directory `dir`.
    pub(super) fn load(dir: &Path) -> anyhow::Result<Analyzer> {
        let mut analyzer = Analyzer {
            host: AnalysisHost::default(),
            project: Project::make(dir)?,
        };
        analyzer.depend_on(&[])?;
        Ok(analyzer)
    }

    /// Makes the crates of `lines`, which are lines of a manifest, known beside the prelude.
    pub(super) fn depend_on(&mut self, lines: &[String]) -> anyhow::Result<()> {
        let change = self.project.load(lines)?;
        self.host.apply_change(change);
        Ok(())
    }

    /// What could stand at the cursor.
    pub(super) fn complete(&mut self, cell: &Cell<'_>) -> Option<Found> {
        self.ask(cell, completion::completions)
            .map(|(found, shift)| found.moved_back(shift))
    }

    /// What is known about the name at the cursor, as text and as HTML.
    pub(super) fn hover(&mut self, cell: &Cell<'_>) -> Option<(String, String)> {
        let (found, _) = self.ask(cell, |analysis, at, _| {
            let plain = hover(analysis, at, HoverDocFormat::PlainText)?;
            let markdown = hover(analysis, at, HoverDocFormat::Markdown)?;
            let mut page = String::new();
            html::push_html(&mut page, Parser::new(&markdown));
            Some((plain, page))
        })?;
        Some(found)
    }

    /// Puts `cell` into our file and asks; also says where the cell begins there.
    fn ask<T>(
        &mut self,
        cell: &Cell<'_>,
        question: impl FnOnce(&Analysis, FilePosition, &str) -> Option<T>,
    ) -> Option<(T, usize)> {
        if !cell.code.is_char_boundary(cell.cursor) {
            return None;
        }
        let (text, shift) = project::text(cell);
        let offset = TextSize::new(u32::try_from(shift + cell.cursor).ok()?);
        let file_id = project::FILE;
        // rust-analyzer panics at times, on code that nobody has finished typing; the next question finds it whole.
        catch_unwind(AssertUnwindSafe(|| {
            let mut change = ChangeWithProcMacros::default();
            change.change_file(file_id, Some(text.clone()));
            self.host.apply_change(change);
            let at = FilePosition { file_id, offset };
            question(&self.host.analysis(), at, &text)
        }))
        .ok()
        .flatten()
        .map(|found| (found, shift))
    }
}

/// What stands in the documentation of the name at a place; `None` also when rust-analyzer gave up.
fn hover(analysis: &Analysis, at: FilePosition, format: HoverDocFormat) -> Option<String> {
    let config = HoverConfig {
        links_in_hover: format == HoverDocFormat::Markdown,
        memory_layout: None,
        documentation: true,
        keywords: true,
        format,
        max_trait_assoc_items_count: None,
        max_fields_count: Some(5),
        max_enum_variants_count: Some(5),
        max_subst_ty_len: SubstTyLen::Unlimited,
        show_drop_glue: false,
        ra_fixture: RaFixtureConfig::default(),
    };
    let place = FileRange {
        file_id: at.file_id,
        range: TextRange::empty(at.offset),
    };
    let found = analysis.hover(&config, place).ok()??;
    Some(found.info.markup.as_str().to_owned()).filter(|text| !text.is_empty())
}
