//! What could stand at a place: rust-analyzer's proposals, as Jupyter wants them.

use std::cmp::Reverse;
use std::collections::HashSet;

use ra_ap_ide::{
    Analysis, CallableSnippets, CompletionConfig, CompletionFieldsToResolve, CompletionItem,
    CompletionItemKind, FilePosition, RaFixtureConfig, SymbolKind, TextRange,
};
use ra_ap_ide_db::SnippetCap;
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig, PrefixKind};

/// Names of ours that are around a cell and not for it begin like this.
const OURS: &str = "mlk8s";

/// What could stand for the bytes from `start` to `end`.
#[derive(Debug)]
pub(in super::super) struct Found {
    pub(in super::super) start: usize,
    pub(in super::super) end: usize,
    /// The texts, with their kinds.
    pub(in super::super) matches: Vec<(String, String)>,
}

impl Found {
    /// The same for a text that begins `shift` bytes later.
    pub(super) fn moved_back(self, shift: usize) -> Found {
        Found {
            start: self.start.saturating_sub(shift),
            end: self.end.saturating_sub(shift),
            matches: self.matches,
        }
    }
}

/// The proposals for the place `at` in `text`, best first; `None` also when rust-analyzer gave up.
pub(super) fn completions(analysis: &Analysis, at: FilePosition, text: &str) -> Option<Found> {
    let mut items = analysis.completions(&config(), at, None).ok()??;
    let range = items.first()?.source_range;
    let typed = text.get(usize::from(range.start())..usize::from(at.offset))?;
    items.retain(|item| {
        item.source_range == range
            && item.lookup().starts_with(typed)
            && !item.lookup().starts_with(OURS)
    });
    items.sort_by(|a, b| {
        // Names that begin with `_` are meant for nobody: last.
        let rank = |item: &CompletionItem| {
            let hidden = item.lookup().starts_with('_');
            (hidden, Reverse(item.relevance.score()))
        };
        rank(a)
            .cmp(&rank(b))
            .then_with(|| a.lookup().cmp(b.lookup()))
    });
    let mut seen = HashSet::new();
    let matches = items
        .iter()
        .filter_map(|item| Some((insertion(item, range)?, kind(item.kind).to_owned())))
        .filter(|(insertion, _)| seen.insert(insertion.clone()))
        .collect();
    Some(Found {
        start: range.start().into(),
        end: range.end().into(),
        matches,
    })
}

/// What is put in place of `range`, when that is all that `item` does.
fn insertion(item: &CompletionItem, range: TextRange) -> Option<String> {
    let mut edits = item.text_edit.iter();
    let edit = edits.next().filter(|edit| edit.delete == range)?;
    if edits.next().is_some() || item.kind == CompletionItemKind::Snippet {
        return None;
    }
    let text = edit.insert.as_str();
    if !item.is_snippet {
        return Some(text.to_owned());
    }
    // A snippet says with `$` where one goes on to type. Up to there is what Jupyter can insert: `head(`, `lazy()`.
    let text = text.split('$').next().unwrap_or_default();
    Some(text.to_owned()).filter(|text| !text.trim().is_empty())
}

/// Without whatever looks further than at the place itself.
fn config() -> CompletionConfig<'static> {
    CompletionConfig {
        enable_postfix_completions: false,
        enable_imports_on_the_fly: false,
        enable_self_on_the_fly: false,
        enable_auto_iter: false,
        enable_auto_await: false,
        enable_private_editable: false,
        enable_term_search: false,
        term_search_fuel: 0,
        full_function_signatures: false,
        callable: Some(CallableSnippets::AddParentheses),
        add_colons_to_module: false,
        add_semicolon_to_unit: false,
        snippet_cap: SnippetCap::new(true),
        insert_use: InsertUseConfig {
            granularity: ImportGranularity::Item,
            enforce_granularity: false,
            prefix_kind: PrefixKind::ByCrate,
            group: false,
            skip_glob_imports: false,
        },
        prefer_no_std: false,
        prefer_prelude: false,
        prefer_absolute: false,
        snippets: Vec::new(),
        limit: None,
        fields_to_resolve: CompletionFieldsToResolve::empty(),
        exclude_flyimport: Vec::new(),
        exclude_traits: &[],
        ra_fixture: RaFixtureConfig::default(),
    }
}

/// The word for `kind` that JupyterLab has an icon for.
fn kind(kind: CompletionItemKind) -> &'static str {
    use SymbolKind as S;
    match kind {
        CompletionItemKind::Keyword => "keyword",
        CompletionItemKind::SymbolKind(symbol) => match symbol {
            S::Module | S::CrateRoot | S::ToolModule => "module",
            S::Enum
            | S::SelfType
            | S::Struct
            | S::Trait
            | S::TypeAlias
            | S::TypeParam
            | S::Union => "class",
            S::Attribute
            | S::BuiltinAttr
            | S::Derive
            | S::DeriveHelper
            | S::Function
            | S::Macro
            | S::Method
            | S::ProcMacro => "function",
            _ => "instance",
        },
        _ => "instance",
    }
}
