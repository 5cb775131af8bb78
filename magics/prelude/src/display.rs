//! What a cell can show while it runs, and the words for texts that are more than text.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::bundle::Bundle;
use crate::channel;
use crate::show::Show;

/// HTML, shown as it is. Escape what comes from elsewhere.
#[derive(Debug, Clone)]
pub struct Html(pub String);

/// Markdown.
#[derive(Debug, Clone)]
pub struct Markdown(pub String);

/// LaTeX, as in `$$E = mc^2$$`.
#[derive(Debug, Clone)]
pub struct Latex(pub String);

/// A picture in SVG.
#[derive(Debug, Clone)]
pub struct Svg(pub String);

/// A picture in PNG, JPEG or GIF.
#[derive(Debug, Clone)]
pub struct Image {
    mime: &'static str,
    bytes: Vec<u8>,
}

impl Image {
    /// A picture from the bytes of a PNG file.
    pub fn png(bytes: impl Into<Vec<u8>>) -> Image {
        Image {
            mime: "image/png",
            bytes: bytes.into(),
        }
    }

    /// A picture from the bytes of a JPEG file.
    pub fn jpeg(bytes: impl Into<Vec<u8>>) -> Image {
        Image {
            mime: "image/jpeg",
            bytes: bytes.into(),
        }
    }

    /// The picture in the file at `path`; its first bytes say which sort it is.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no PNG, JPEG or GIF.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Image> {
        let bytes = std::fs::read(path.as_ref())?;
        let mime = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'G', b'I', b'F', b'8', ..] => "image/gif",
            _ => {
                let message = format!("`{}` is no PNG, JPEG or GIF", path.as_ref().display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        };
        Ok(Image { mime, bytes })
    }
}

impl Show for Html {
    fn bundle(&self) -> Bundle {
        Bundle::plain(self.0.as_str()).with("text/html", self.0.as_str())
    }
}

impl Show for Markdown {
    fn bundle(&self) -> Bundle {
        Bundle::plain(self.0.as_str()).with("text/markdown", self.0.as_str())
    }
}

impl Show for Latex {
    fn bundle(&self) -> Bundle {
        Bundle::plain(self.0.as_str()).with("text/latex", self.0.as_str())
    }
}

impl Show for Svg {
    fn bundle(&self) -> Bundle {
        Bundle::plain("(a picture)").with("image/svg+xml", self.0.as_str())
    }
}

impl Show for Image {
    fn bundle(&self) -> Bundle {
        let size = self.bytes.len();
        Bundle::plain(format!("(a picture of {size} bytes)"))
            .with(self.mime, STANDARD.encode(&self.bytes))
    }
}

/// Shows a value now, whatever it is, and returns its [`Display`](crate::cell::Display), with which it can be
/// replaced later.
#[macro_export]
macro_rules! display {
    ($value:expr $(,)?) => {
        $crate::cell::Display::show($crate::bundle_of!($value))
    };
}

/// The best form of a value; `None` for `()`.
#[doc(hidden)]
#[macro_export]
macro_rules! bundle_of {
    ($value:expr) => {
        match &($value) {
            value => {
                #[allow(unused_imports)]
                use $crate::cells::{
                    ByDebug as _, ByNothing as _, ByShow as _, DisplayMethod as _,
                };
                #[allow(unused_imports)]
                use $crate::graphs::ByGraph as _;
                (&&&&$crate::cells::Probe(value)).bundle(|| value.evcxr_display())
            }
        }
    };
}

/// Something that is shown and can be replaced.
#[derive(Debug)]
pub struct Display {
    id: String,
}

static DISPLAYS: AtomicU64 = AtomicU64::new(0);

impl Display {
    #[doc(hidden)]
    pub fn show(bundle: Option<Bundle>) -> Display {
        let number = DISPLAYS.fetch_add(1, Ordering::Relaxed);
        let id = format!("rust-{}-{number}", std::process::id());
        emit("display", &id, bundle);
        Display { id }
    }

    /// Shows `value` in place of what was there.
    pub fn update(&self, value: &impl Show) {
        self.replace(Some(value.bundle()));
    }

    #[doc(hidden)]
    pub fn replace(&self, bundle: Option<Bundle>) {
        emit("update", &self.id, bundle);
    }
}

fn emit(kind: &str, id: &str, bundle: Option<Bundle>) {
    let data = bundle.unwrap_or_default().0;
    channel::send(json!({ "event": kind, "id": id, "data": data }));
}

/// Removes what the cell has shown so far; with `wait`, when the next output comes.
pub fn clear_output(wait: bool) {
    channel::send(json!({ "event": "clear", "wait": wait }));
}
