//! The hub's protocol: what a repository holds, what a file is, and its bytes from wherever the hub sends us.

use reqwest::{Method, Response, StatusCode, Url, header};
use serde_json::Value;

use crate::cache::is_plain;
use crate::error::ModelsError;
use crate::http::tries::Tries;
use crate::http::{Failure, Web, origin, passing, plain_etag, text_header};
use crate::places::{Places, Secret};
use crate::reference::is_inside;

/// The longest description of a repository that is read.
const LONGEST: usize = 64 << 20;
/// Redirects that are followed for one request.
const REDIRECTS: usize = 10;

/// A repository on the hub.
pub(crate) struct Hub<'a> {
    web: &'a Web<'a>,
    endpoint: &'a Url,
    token: Option<&'a Secret>,
    name: &'a str,
}

/// What a repository holds at a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: Vec<Listed>,
}

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
    /// What the list says already; the hub's does not.
    pub(crate) etag: Option<String>,
}

/// What the hub promises of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) etag: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
}

impl<'a> Hub<'a> {
    pub(crate) fn new(web: &'a Web<'a>, places: &'a Places, name: &'a str) -> Self {
        Self {
            web,
            endpoint: &places.endpoint,
            token: places.token.as_ref(),
            name,
        }
    }

    /// Attempts at `what`.
    pub(crate) fn tries(&self, what: &str) -> Tries {
        Tries::new(self.web, self.endpoint, what)
    }

    /// The commit that `revision` means now, and its files with their sizes.
    pub(crate) async fn listing(&self, revision: &str) -> Result<Listing, ModelsError> {
        let mut url = self.url(&["api", "models"], &["revision", revision])?;
        url.set_query(Some("blobs=true"));
        let bytes = self
            .web
            .persist(self.tries(self.name), async || {
                let response = self.open(&Method::GET, &url, None, false).await?;
                let response = self.accepted(response, self.name, revision).await?;
                self.web.body(response, LONGEST).await
            })
            .await?;
        read_listing(&bytes).map_err(|why| self.garbled(self.name, why))
    }

    /// What the hub promises of `file`, asked for as the Python client does: `HEAD`, and no step to another host.
    pub(crate) async fn promise(
        &self,
        commit: &str,
        file: &Listed,
    ) -> Result<Promise, ModelsError> {
        let url = self.file(commit, &file.name)?;
        self.web
            .persist(self.tries(&file.name), async || {
                let response = self.open(&Method::HEAD, &url, None, true).await?;
                let response = if response.status().is_redirection() {
                    response
                } else {
                    self.accepted(response, &file.name, commit).await?
                };
                Ok(self.read_promise(&response, file)?)
            })
            .await
    }

    /// The bytes of `file` from `from` on.
    pub(crate) async fn bytes(
        &self,
        commit: &str,
        file: &str,
        from: u64,
    ) -> Result<Response, Failure> {
        let url = self.file(commit, file)?;
        let response = self.open(&Method::GET, &url, Some(from), false).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(response);
        }
        self.accepted(response, file, commit).await
    }

    /// Sends one request and follows its redirects; with `stays`, only to the hub itself.
    ///
    /// The token goes to the hub's own scheme, host and port, and to nobody else: files lie on servers of others.
    async fn open(
        &self,
        method: &Method,
        url: &Url,
        from: Option<u64>,
        stays: bool,
    ) -> Result<Response, Failure> {
        let mut url = url.clone();
        for _ in 0..REDIRECTS {
            let mut request = self
                .web
                .client()
                .request(method.clone(), url.clone())
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = self
                .token
                .filter(|_| url.origin() == self.endpoint.origin())
            {
                request = request.bearer_auth(token.expose());
            }
            if let Some(from) = from.filter(|from| *from > 0) {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = self.web.heard(request.send()).await?;
            if let Some(failure) = passing(&response) {
                return Err(failure);
            }
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = text_header(&response, header::LOCATION.as_str())
                .and_then(|location| url.join(&location).ok())
                .ok_or_else(|| self.garbled(url.path(), "a redirect to nowhere".to_owned()))?;
            if stays && (location.origin() != self.endpoint.origin() || has_promise(&response)) {
                return Ok(response);
            }
            if self.endpoint.scheme() == "https" && location.scheme() != "https" {
                let why = format!(
                    "a redirect to {}, which is not encrypted",
                    origin(&location)
                );
                return Err(self.garbled(url.path(), why).into());
            }
            url = location;
        }
        Err(self
            .garbled(url.path(), format!("more than {REDIRECTS} redirects"))
            .into())
    }

    /// The response, unless it is a refusal.
    async fn accepted(
        &self,
        response: Response,
        what: &str,
        revision: &str,
    ) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let code = text_header(&response, "x-error-code").unwrap_or_default();
        let said = self.web.refusal(response).await;
        let server = origin(self.endpoint);
        Err(Failure::Final(match status.as_u16() {
            401 | 403 => ModelsError::Gated {
                name: self.name.to_owned(),
                server,
                has_token: self.token.is_some(),
                said: if code == "RepoNotFound" {
                    "no such repository, or a private one".to_owned()
                } else {
                    said
                },
            },
            404 | 410 => ModelsError::NotFound {
                what: match code.as_str() {
                    "RevisionNotFound" => format!("revision `{revision}` of `{}`", self.name),
                    _ if what == self.name => format!("model `{what}`"),
                    _ => format!("file `{what}` in `{}` at `{revision}`", self.name),
                },
                server,
            },
            status => ModelsError::Refused {
                what: what.to_owned(),
                server,
                status,
                said,
            },
        }))
    }

    fn read_promise(&self, response: &Response, file: &Listed) -> Result<Promise, ModelsError> {
        let linked = text_header(response, "x-linked-etag");
        let etag = linked.or_else(|| text_header(response, header::ETAG.as_str()));
        let etag = etag.map(|etag| plain_etag(&etag)).unwrap_or_default();
        if !is_plain(&etag) {
            return Err(self.garbled(&file.name, format!("etag `{etag}`")));
        }
        let number = |name: &str| text_header(response, name)?.parse::<u64>().ok();
        // A redirect's own length is that of its few words.
        let length = || number("content-length").filter(|_| response.status().is_success());
        let bytes = number("x-linked-size")
            .or(file.bytes)
            .or_else(length)
            .ok_or_else(|| self.garbled(&file.name, "no size".to_owned()))?;
        let sha256 = file
            .sha256
            .clone()
            .or_else(|| is_sha256(&etag).then(|| etag.clone()));
        Ok(Promise {
            etag,
            bytes,
            sha256,
        })
    }

    fn file(&self, commit: &str, file: &str) -> Result<Url, ModelsError> {
        let mut tail = vec!["resolve", commit];
        tail.extend(file.split('/'));
        self.url(&[], &tail)
    }

    /// `endpoint/before…/org/name/after…`, where a slash inside a part is written `%2F`.
    fn url(&self, before: &[&str], after: &[&str]) -> Result<Url, ModelsError> {
        let mut url = self.endpoint.clone();
        let Ok(mut path) = url.path_segments_mut() else {
            return Err(self.garbled(self.name, "its address has no path".to_owned()));
        };
        path.pop_if_empty()
            .extend(before)
            .extend(self.name.split('/'))
            .extend(after);
        drop(path);
        Ok(url)
    }

    fn garbled(&self, what: &str, why: String) -> ModelsError {
        ModelsError::Garbled {
            what: what.to_owned(),
            server: origin(self.endpoint),
            why,
        }
    }
}

fn has_promise(response: &Response) -> bool {
    response.headers().contains_key("x-linked-etag")
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn read_listing(bytes: &[u8]) -> Result<Listing, String> {
    let json: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let commit = json["sha"].as_str().unwrap_or_default();
    if !is_plain(commit) {
        return Err(format!("commit `{commit}`"));
    }
    let siblings = json["siblings"].as_array().ok_or("no list of files")?;
    let files = siblings.iter().filter_map(|file| {
        let lfs = &file["lfs"];
        let sha256 = lfs["sha256"].as_str().or(lfs["oid"].as_str());
        Some(Listed {
            name: file["rfilename"]
                .as_str()
                .filter(|name| is_inside(name))?
                .to_owned(),
            bytes: lfs["size"].as_u64().or(file["size"].as_u64()),
            sha256: sha256.filter(|text| is_sha256(text)).map(str::to_owned),
            etag: None,
        })
    });
    Ok(Listing {
        commit: commit.to_owned(),
        files: files.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_keeps_what_can_be_written() {
        let json = r#"{"sha":"abc","siblings":[{"rfilename":"../../etc/passwd"},{"rfilename":"config.json","size":7},
            {"rfilename":"m.safetensors","size":1,"lfs":{"size":9,"sha256":"xyz"}}]}"#;
        let listing = read_listing(json.as_bytes()).unwrap();
        let sizes: Vec<_> = listing
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.bytes))
            .collect();
        assert_eq!(
            sizes,
            [("config.json", Some(7)), ("m.safetensors", Some(9))]
        );
        assert_eq!(listing.files[1].sha256, None);
        assert!(read_listing(br#"{"sha":"../x","siblings":[]}"#).is_err());
        assert!(read_listing(b"<html>").is_err());
    }
}
