//! Amazon's signature of a request, version 4 ("Authenticating Requests", Amazon S3 API Reference).

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Digest of a body without bytes.
pub(crate) const NO_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who signs, and for which region.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) region: &'a str,
}

/// A request without a body. Headers have names in small letters, in alphabetical order, and include `host`.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// The path, encoded.
    pub(crate) path: &'a str,
    /// Names and values, not encoded.
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: &'a [(&'a str, String)],
}

impl Signer<'_> {
    /// The value of the header `authorization`.
    pub(crate) fn authorization(&self, request: &Signed<'_>, time: DateTime<Utc>) -> String {
        let mut headers = String::new();
        for (name, value) in request.headers {
            let _ = writeln!(headers, "{name}:{}", value.trim());
        }
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{names}\n{NO_BODY}",
            request.method,
            request.path,
            query(request.query)
        );
        let day = time.format("%Y%m%d").to_string();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            stamp(time),
            hex::encode(Sha256::digest(canonical))
        );
        let mut key = digest(format!("AWS4{}", self.secret).as_bytes(), &day);
        for part in [self.region, "s3", "aws4_request"] {
            key = digest(&key, part);
        }
        let signature = hex::encode(digest(&key, &text));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.key
        )
    }
}

/// Time as the header `x-amz-date` has it.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A query with its names in order, encoded.
pub(crate) fn query(parts: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

/// Percent-encodes everything but letters, digits and `-._~`.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn digest(key: &[u8], text: &str) -> Vec<u8> {
    // Every length is a key for HMAC, so this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key, bucket, time and signatures of the examples in "Signature Calculations for the Authorization Header"
    /// of the same reference.
    fn check(path: &str, query: &[(&str, &str)], range: Option<&str>, wanted: &str) {
        let time = "2013-05-24T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let mut headers = vec![("host", "examplebucket.s3.amazonaws.com".to_owned())];
        headers.extend(range.map(|range| ("range", range.to_owned())));
        headers.push(("x-amz-content-sha256", NO_BODY.to_owned()));
        headers.push(("x-amz-date", stamp(time)));
        let signer = Signer {
            key: "AKIAIOSFODNN7EXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
        };
        let request = Signed {
            method: "GET",
            path,
            query,
            headers: &headers,
        };
        let found = signer.authorization(&request, time);
        assert!(found.ends_with(&format!("Signature={wanted}")), "{found}");
    }

    #[test]
    fn the_examples_of_the_reference_are_signed_alike() {
        check(
            "/test.txt",
            &[],
            Some("bytes=0-9"),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        );
        check(
            "/",
            &[("max-keys", "2"), ("prefix", "J")],
            None,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        );
    }
}
