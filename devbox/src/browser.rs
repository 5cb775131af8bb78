//! The Chromium with which the browser tests drive JupyterLab.

use std::path::PathBuf;

use crate::machine::System;
use crate::settings;

/// Names under which Chromium and its kin are found on the search path.
const NAMES: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Where they lie on macOS.
const APPLICATIONS: &[&str] = &[
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// The browser that the person named, or the first that is found.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = settings::chromium() {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let path = settings::search_path();
    let on_path = std::env::split_paths(&path)
        .flat_map(|dir| NAMES.iter().map(move |name| dir.join(name)))
        .find(|file| file.is_file());
    on_path.or_else(|| {
        APPLICATIONS
            .iter()
            .map(PathBuf::from)
            .find(|file| file.is_file())
    })
}

/// How to get one.
pub(crate) fn how_to_get(system: System) -> String {
    system.words(
        "sudo apt-get install chromium (Ubuntu: or any Chrome, named in MLK8S_CHROMIUM)",
        "sudo dnf install chromium",
        "brew install --cask chromium, or use Google Chrome",
        "install Chromium or Chrome, or name one in MLK8S_CHROMIUM",
    )
}
