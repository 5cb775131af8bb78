//! The fonts of a file: what their codes mean, how wide they are, and what their names give away.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hayro_font::{CMapResolverFn, Font, FontCache, FontQuery, FontResolverFn};
use hayro_syntax::object::{Array, Dict, Name, Stream};

use super::guard::Budget;

/// What the name of a font gives away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) bold: bool,
    pub(super) italic: bool,
    /// Symbols or letters of formulas.
    pub(super) math: bool,
}

/// A font with what its name gives away.
pub(super) type Loaded<'a> = Rc<(Font<'a>, Style)>;

/// The fonts of a file and what they were found under.
pub(super) struct Fonts<'a> {
    cache: FontCache<'a>,
    /// By the place of their dictionary in the file.
    loaded: RefCell<HashMap<*const u8, Option<Loaded<'a>>>>,
    programs: FontResolverFn,
    cmaps: CMapResolverFn,
}

impl<'a> Fonts<'a> {
    pub(super) fn new() -> Self {
        let programs: FontResolverFn = Arc::new(|query| match query {
            FontQuery::Standard(font) => Some(font.get_font_data()),
            FontQuery::Fallback(query) => Some(query.pick_standard_font().get_font_data()),
        });
        Self {
            cache: FontCache::new(),
            loaded: RefCell::default(),
            programs,
            cmaps: Arc::new(|_| None),
        }
    }

    pub(super) fn font(&self, dict: &Dict<'a>, budget: &Budget) -> Option<Loaded<'a>> {
        let key = dict.data().as_ptr();
        if let Some(font) = self.loaded.borrow().get(&key) {
            return font.clone();
        }
        let font = self.load(dict, budget);
        self.loaded.borrow_mut().insert(key, font.clone());
        font
    }

    /// Loads a font, unless one of its streams is a bomb.
    fn load(&self, dict: &Dict<'a>, budget: &Budget) -> Option<Loaded<'a>> {
        let descendant = dict
            .get::<Array<'_>>("DescendantFonts")
            .and_then(|fonts| fonts.iter::<Dict<'_>>().next());
        let descriptor = |dict: &Dict<'a>| dict.get::<Dict<'_>>("FontDescriptor");
        let descriptor = descriptor(dict)
            .or_else(|| descendant.as_ref().and_then(descriptor))
            .unwrap_or_default();
        let streams = [
            dict.get::<Stream<'_>>("ToUnicode"),
            dict.get::<Stream<'_>>("Encoding"),
            descendant
                .as_ref()
                .and_then(|font| font.get::<Stream<'_>>("CIDToGIDMap")),
            descriptor.get::<Stream<'_>>("FontFile"),
            descriptor.get::<Stream<'_>>("FontFile2"),
            descriptor.get::<Stream<'_>>("FontFile3"),
        ];
        if !streams.iter().flatten().all(|stream| budget.admit(stream)) {
            return None;
        }
        let font = self.cache.font(dict, &self.programs, &self.cmaps)?;
        let name = dict
            .get::<Name<'_>>("BaseFont")
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default();
        Some(Rc::new((font, style(&name))))
    }
}

/// Bold, italic or mathematical, by the names that type foundries and TeX give their fonts.
fn style(name: &str) -> Style {
    let name = name.split_once('+').map_or(name, |(_, name)| name);
    let lower = name.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let starts = |parts: &[&str]| parts.iter().any(|part| lower.starts_with(part));
    Style {
        bold: has(&[
            "bold", "cmbx", "lmbx", "medi", "black", "heavy", "sfbx", "cmcsc",
        ]),
        italic: has(&["ital", "obli", "cmti", "lmri", "slant", "cmsl"]),
        math: starts(&[
            "cmmi",
            "cmsy",
            "cmex",
            "lmmi",
            "lmsy",
            "lmmathit",
            "lmmathsy",
            "lmex",
            "msam",
            "msbm",
            "mtmi",
            "mtsy",
            "rtxmi",
            "rtxsy",
            "symbol",
            "standardsym",
            "line10",
            "lcircle",
            "txsy",
            "txmi",
            "txex",
            "stix2math",
            "eufm",
            "rsfs",
        ]) || has(&["math"]),
    }
}
