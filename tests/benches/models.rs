//! `models`: what lies between a notebook and a model, measured against the stand-in server of the tests.

use std::io::Write;
use std::path::Path;

use crate::client;

/// Runs the client.
pub(crate) fn run(_data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    client::run("models.py", &[], out)
}
