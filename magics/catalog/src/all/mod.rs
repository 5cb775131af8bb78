//! The list of all magics, in the order in which they are shown.

mod ask;
mod batch;
mod budget;
mod cluster;
mod compare;
mod corpus;
mod cost;
mod embed;
mod encode;
mod endpoint;
mod fix;
mod gpu;
mod help;
mod kg;
mod kmeans;
mod lsmagic;
mod model;
mod prompts;
mod rate;
mod search;
mod since;
mod wordcloud;

use crate::magic::{Entry, Form};

pub(crate) use corpus::frame as documents_frame;

/// Every magic, once.
pub const ALL: &[Entry] = &[
    Entry::of::<corpus::Corpus>("corpus", Form::Line),
    Entry::of::<wordcloud::Wordcloud>("wordcloud", Form::Line),
    Entry::of::<kg::Kg>("kg", Form::Line),
    Entry::of::<embed::Embed>("embed", Form::Line),
    Entry::of::<search::Search>("search", Form::Line),
    Entry::of::<encode::Encode>("encode", Form::Line),
    Entry::of::<kmeans::KMeans>("kmeans", Form::Line),
    Entry::of::<ask::Ask>("ask", Form::Cell),
    Entry::of::<compare::Compare>("compare", Form::Cell),
    Entry::of::<fix::Fix>("fix", Form::Line),
    Entry::of::<model::Model>("model", Form::Line),
    Entry::of::<gpu::ShowGpus>("gpu", Form::Line),
    Entry::of::<cluster::ShowCluster>("cluster", Form::Line),
    Entry::of::<batch::Batch>("batch", Form::Line),
    Entry::of::<endpoint::Endpoint>("endpoint", Form::Line),
    Entry::of::<cost::Cost>("cost", Form::Line),
    Entry::of::<budget::Budget>("budget", Form::Line),
    Entry::of::<prompts::Prompts>("prompts", Form::Line),
    Entry::of::<rate::Rate>("rate", Form::Line),
    Entry::of::<help::Help>("help", Form::Line),
    Entry::of::<lsmagic::LsMagic>("lsmagic", Form::Line),
];

/// The magic called `name`, typed with `form`; the error names the nearest one.
pub fn find(name: &str, form: Form) -> Result<&'static Entry, crate::error::MagicError> {
    use crate::error::{ErrorKind, MagicError};
    let named = ALL.iter().find(|entry| entry.name == name);
    match named {
        Some(entry) if entry.form == form => Ok(entry),
        Some(entry) => {
            let what = match entry.form {
                Form::Line => "stands on one line",
                Form::Cell => "needs a cell of its own, with text below its first line",
            };
            let message = format!("`{name}` {what}");
            let hint = format!("type `{}{name}`", entry.sigil());
            Err(MagicError::new(ErrorKind::Usage, message).with_hint(hint))
        }
        None => {
            let hint = match nearest(name) {
                Some(near) => format!("did you mean `{near}`? `%lsmagic` lists all"),
                None => "`%lsmagic` lists all".to_owned(),
            };
            let message = format!("there is no magic called `{name}`");
            Err(MagicError::new(ErrorKind::NotFound, message).with_hint(hint))
        }
    }
}

/// The magic whose name is at most two edits away from `name`.
fn nearest(name: &str) -> Option<&'static str> {
    let ranked = ALL
        .iter()
        .map(|entry| (strsim::levenshtein(entry.name, name), entry.name));
    ranked
        .min()
        .filter(|&(edits, _)| edits <= 2)
        .map(|(_, near)| near)
}
