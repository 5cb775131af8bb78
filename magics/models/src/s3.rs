//! Models in a bucket: signed lists of objects and signed reads, in the protocol that all such stores speak.

use chrono::Utc;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;
use reqwest::{Response, StatusCode, Url, header};
use sha2::{Digest as _, Sha256};

use crate::error::ModelsError;
use crate::http::tries::Tries;
use crate::http::{Failure, Web, origin, passing, plain_etag, text_header};
use crate::hub::{Listed, Listing};
use crate::places::{Bucket, Places};
use crate::reference::{is_gguf, is_inside};
use crate::signature::{NO_BODY, Signed, Signer, encoded, query, stamp};

const REGION: &str = "us-east-1";
/// The longest page of a list that is read; a page has a thousand objects of at most 1 KiB each and some words.
const LONGEST: usize = 8 << 20;
/// Pages of a list; a place with more objects is no model.
const PAGES: usize = 20;

/// The objects of a bucket below a prefix.
pub(crate) struct S3<'a> {
    web: &'a Web<'a>,
    settings: &'a Bucket,
    bucket: &'a str,
    prefix: &'a str,
    server: Url,
    /// The bucket as a part of the path, where it is not a part of the host.
    base: String,
}

impl<'a> S3<'a> {
    pub(crate) fn new(
        web: &'a Web<'a>,
        places: &'a Places,
        bucket: &'a str,
        prefix: &'a str,
    ) -> Result<Self, ModelsError> {
        let settings = &places.bucket;
        let region = settings.region.as_deref().unwrap_or(REGION);
        // Certificates cover one label before the server's name, so a bucket with a point goes into the path.
        let is_host = settings.endpoint.is_none() && !bucket.contains('.');
        let server = match &settings.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None if is_host => Url::parse(&format!("https://{bucket}.s3.{region}.amazonaws.com")),
            None => Url::parse(&format!("https://s3.{region}.amazonaws.com")),
        };
        let server = server.map_err(|error| ModelsError::Setting {
            variable: "AWS_REGION",
            why: format!("`{region}` is no region: {error}"),
        })?;
        let base = if is_host {
            String::new()
        } else {
            format!("{}/{bucket}", server.path().trim_end_matches('/'))
        };
        Ok(Self {
            web,
            settings,
            bucket,
            prefix,
            server,
            base,
        })
    }

    /// Attempts at `what`.
    pub(crate) fn tries(&self, what: &str) -> Tries {
        Tries::new(self.web, &self.server, what)
    }

    /// The objects below the prefix; what stands for the commit is a digest of their names, etags and sizes.
    pub(crate) async fn listing(&self) -> Result<Listing, ModelsError> {
        let is_file = is_gguf(self.prefix);
        let before = if is_file || self.prefix.is_empty() {
            self.prefix.to_owned()
        } else {
            format!("{}/", self.prefix)
        };
        let folder = if is_file {
            before.rfind('/').map_or(0, |at| at + 1)
        } else {
            before.len()
        };
        let mut files = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES {
            let page = self.page(&before, next.as_deref()).await?;
            files.extend(page.objects.into_iter().filter_map(|object| {
                let name = object.key.get(folder..)?.to_owned();
                (is_inside(&name) && (!is_file || object.key == self.prefix)).then_some(Listed {
                    name,
                    bytes: Some(object.bytes),
                    sha256: None,
                    etag: Some(object.etag),
                })
            }));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        if files.is_empty() {
            return Err(ModelsError::NotFound {
                what: format!("object below `s3://{}/{}`", self.bucket, self.prefix),
                server: origin(&self.server),
            });
        }
        let lines: Vec<String> = files
            .iter()
            .map(|file| format!("{}\t{:?}\t{:?}\n", file.name, file.etag, file.bytes))
            .collect();
        let digest = hex::encode(Sha256::digest(lines.concat()));
        Ok(Listing {
            commit: digest[..40].to_owned(),
            files,
        })
    }

    /// The bytes of `file` from `from` on, as long as it is still the one that was listed.
    pub(crate) async fn bytes(&self, file: &Listed, from: u64) -> Result<Response, Failure> {
        let folder = match self.prefix.rsplit_once('/') {
            _ if !is_gguf(self.prefix) => self.prefix,
            Some((folder, _)) => folder,
            None => "",
        };
        let key = format!("{folder}/{}", file.name);
        let parts: Vec<String> = key
            .trim_start_matches('/')
            .split('/')
            .map(encoded)
            .collect();
        let path = format!("{}/{}", self.base, parts.join("/"));
        let mut headers = Vec::new();
        if from > 0 {
            headers.push(("range", format!("bytes={from}-")));
        }
        headers.extend(
            file.etag
                .iter()
                .map(|etag| ("if-match", format!("\"{etag}\""))),
        );
        self.get(&path, &[], headers, &file.name).await
    }

    async fn page(&self, before: &str, next: Option<&str>) -> Result<Page, ModelsError> {
        let mut parts = vec![("list-type", "2"), ("prefix", before)];
        parts.extend(next.map(|next| ("continuation-token", next)));
        let path = if self.base.is_empty() {
            "/"
        } else {
            &self.base
        };
        let bytes = self
            .web
            .persist(self.tries(before), async || {
                let response = self.get(path, &parts, Vec::new(), before).await?;
                self.web.body(response, LONGEST).await
            })
            .await?;
        read_page(&bytes).map_err(|why| ModelsError::Garbled {
            what: before.to_owned(),
            server: origin(&self.server),
            why,
        })
    }

    async fn get(
        &self,
        path: &str,
        parts: &[(&str, &str)],
        headers: Vec<(&'static str, String)>,
        what: &str,
    ) -> Result<Response, Failure> {
        let mut url = self.server.clone();
        url.set_path(path);
        url.set_query((!parts.is_empty()).then(|| query(parts)).as_deref());
        let mut request = self
            .web
            .client()
            .get(url)
            .header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in self.signed(path, parts, headers) {
            request = request.header(name, value);
        }
        let response = self.web.heard(request.send()).await?;
        if let Some(failure) = passing(&response) {
            return Err(failure);
        }
        let status = response.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(response);
        }
        let region = text_header(&response, "x-amz-bucket-region");
        let said = self.web.refusal(response).await;
        let server = origin(&self.server);
        let what = format!("s3://{}/{what}", self.bucket);
        Err(Failure::Final(match status.as_u16() {
            404 => ModelsError::NotFound { what, server },
            412 => ModelsError::Garbled {
                what,
                server,
                why: "the object was replaced while it was fetched".to_owned(),
            },
            status => ModelsError::Refused {
                what,
                server,
                status,
                said: match region {
                    Some(region) if status < 400 => {
                        format!("the bucket is in region {region}: set AWS_REGION")
                    }
                    _ => said,
                },
            },
        }))
    }

    /// All headers of a request, signed where there is a key.
    fn signed(
        &self,
        path: &str,
        parts: &[(&str, &str)],
        mut headers: Vec<(&'static str, String)>,
    ) -> Vec<(&'static str, String)> {
        let Some((key, secret)) = &self.settings.key else {
            return headers;
        };
        let time = Utc::now();
        let host = self.server.host_str().unwrap_or_default();
        let host = self
            .server
            .port()
            .map_or(host.to_owned(), |port| format!("{host}:{port}"));
        headers.push(("host", host));
        headers.push(("x-amz-content-sha256", NO_BODY.to_owned()));
        headers.push(("x-amz-date", stamp(time)));
        let session = self.settings.session.as_ref();
        headers
            .extend(session.map(|session| ("x-amz-security-token", session.expose().to_owned())));
        headers.sort();
        let signer = Signer {
            key,
            secret: secret.expose(),
            region: self.settings.region.as_deref().unwrap_or(REGION),
        };
        let request = Signed {
            method: "GET",
            path,
            query: parts,
            headers: &headers,
        };
        let authorization = signer.authorization(&request, time);
        headers.push(("authorization", authorization));
        headers
    }
}

#[derive(Debug, Default)]
struct Page {
    objects: Vec<Object>,
    next: Option<String>,
}

#[derive(Debug, Default)]
struct Object {
    key: String,
    etag: String,
    bytes: u64,
}

/// Reads one page of `ListObjectsV2`.
fn read_page(bytes: &[u8]) -> Result<Page, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(text);
    let mut page = Page::default();
    let mut object = Object::default();
    let mut inside = String::new();
    let mut is_list = false;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                match start.local_name().as_ref() {
                    b"ListBucketResult" => is_list = true,
                    b"Contents" => object = Object::default(),
                    _ => {}
                }
                inside.clear();
            }
            Event::Text(text) => {
                inside.push_str(&text.decode().map_err(|error| error.to_string())?);
            }
            Event::GeneralRef(name) => {
                let name = name.decode().map_err(|error| error.to_string())?;
                let text = format!("&{name};");
                inside.push_str(&unescape(&text).map_err(|error| error.to_string())?);
            }
            Event::End(end) => match end.local_name().as_ref() {
                b"Key" => object.key = std::mem::take(&mut inside),
                b"ETag" => object.etag = plain_etag(&inside),
                b"Size" => object.bytes = inside.parse().map_err(|_| format!("size `{inside}`"))?,
                b"NextContinuationToken" => page.next = Some(std::mem::take(&mut inside)),
                b"Contents" => page.objects.push(std::mem::take(&mut object)),
                _ => {}
            },
            Event::Eof if is_list => return Ok(page),
            Event::Eof => return Err("no list of objects".to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_objects_is_read() {
        let page = read_page(
            br#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated>
            <Contents><Key>m/a&amp;b.json</Key><ETag>&quot;9b-2&quot;</ETag><Size>434234</Size></Contents>
            <NextContinuationToken>1ueG=</NextContinuationToken></ListBucketResult>"#,
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("1ueG="));
        let object = &page.objects[0];
        assert_eq!(
            (object.key.as_str(), object.etag.as_str(), object.bytes),
            ("m/a&b.json", "9b-2", 434_234)
        );
        assert!(read_page(b"<Error></Error>").is_err());
        assert!(read_page(b"\xff").is_err());
    }
}
