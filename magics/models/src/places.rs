//! Where models are looked for: the hub, its cache, the bucket's server, and the patience for them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::error::ModelsError;

/// The hub where none is named.
const HUB: &str = "https://huggingface.co";

/// Settings of everything that looks for a model.
#[derive(Debug, Clone)]
pub struct Places {
    /// The hub.
    pub endpoint: Url,
    /// What tells the hub who asks; sent to the hub's own host and port only.
    pub token: Option<Secret>,
    /// The cache that is shared with the hub's Python client: `models--org--name` directories.
    pub hub_cache: PathBuf,
    /// The cache of what comes from buckets, in the same layout.
    pub bucket_cache: PathBuf,
    /// Whether nothing may be asked of any server.
    pub is_offline: bool,
    /// The server of `s3://`.
    pub bucket: Bucket,
    /// How long servers are borne with.
    pub patience: Patience,
}

/// The server of `s3://`.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// Its address, where it is not Amazon's.
    pub endpoint: Option<Url>,
    /// Its region; `us-east-1` where none is named.
    pub region: Option<String>,
    /// Name and secret of the key; without one requests are not signed.
    pub key: Option<(String, Secret)>,
    /// What comes with a key that was lent.
    pub session: Option<Secret>,
}

/// How long servers are borne with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts without a single byte of progress.
    pub attempts: usize,
    /// Pause before the second attempt; it doubles from one to the next, up to 30 seconds.
    pub pause: Duration,
    /// How long a connection may be silent.
    pub silence: Duration,
    /// The longest pause that a server may ask for.
    pub longest: Duration,
    /// Whether a person waits for the first connection, who has mistyped a name, or has no network, and is to hear of it
    /// at once; others may have been started before the network.
    pub is_watched: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 6,
            pause: Duration::from_millis(500),
            silence: Duration::from_secs(30),
            longest: Duration::from_mins(5),
            is_watched: false,
        }
    }
}

/// Text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Places {
    /// Reads the variables that the hub's Python client and Amazon's tools read; `variable` gives the value of one.
    ///
    /// `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `XDG_CACHE_HOME`,
    /// `HF_HUB_OFFLINE`, `HOME`; `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`. Fails when an address cannot be read, or when
    /// no variable says where a cache could be.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ModelsError> {
        let get = |name: &str| {
            variable(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let home = get("HOME").map(PathBuf::from);
        let path = |name: &str| get(name).map(|value| expanded(&value, home.as_ref()));
        let caches = path("XDG_CACHE_HOME").or_else(|| Some(home.as_ref()?.join(".cache")));
        let hub_home = path("HF_HOME").or_else(|| Some(caches.as_ref()?.join("huggingface")));
        let hub_cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(hub_home.as_ref()?.join("hub")))
            .ok_or_else(|| ModelsError::Setting {
                variable: "HF_HOME",
                why: "neither it nor HF_HUB_CACHE, XDG_CACHE_HOME or HOME is set, so there is no place for a cache"
                    .to_owned(),
            })?;
        let bucket_cache =
            caches.map_or_else(|| hub_cache.join("mlk8s"), |caches| caches.join("mlk8s/s3"));
        let token_path = path("HF_TOKEN_PATH").or_else(|| Some(hub_home.as_ref()?.join("token")));
        let token = get("HF_TOKEN").or_else(|| {
            let text = std::fs::read_to_string(token_path?).ok()?;
            Some(text.trim().to_owned()).filter(|token| !token.is_empty())
        });
        if token
            .as_ref()
            .is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(ModelsError::Setting {
                variable: "HF_TOKEN",
                why: "it has spaces or letters that no token has".to_owned(),
            });
        }
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
        let bucket_endpoint = get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL"));
        Ok(Self {
            endpoint: address("HF_ENDPOINT", &endpoint)?,
            token: token.map(Secret),
            hub_cache,
            bucket_cache,
            is_offline: get("HF_HUB_OFFLINE").is_some_and(|value| is_yes(&value)),
            bucket: Bucket {
                endpoint: bucket_endpoint
                    .map(|text| address("AWS_ENDPOINT_URL", &text))
                    .transpose()?,
                region: get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")),
                key: get("AWS_ACCESS_KEY_ID").zip(get("AWS_SECRET_ACCESS_KEY").map(Secret)),
                session: get("AWS_SESSION_TOKEN").map(Secret),
            },
            patience: Patience::default(),
        })
    }
}

fn expanded(value: &str, home: Option<&PathBuf>) -> PathBuf {
    match (value.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.clone(),
        (Some(rest), Some(home)) if rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(value),
    }
}

fn address(variable: &'static str, text: &str) -> Result<Url, ModelsError> {
    let url = Url::parse(text.trim_end_matches('/')).map_err(|error| ModelsError::Setting {
        variable,
        why: format!("`{text}` is no address: {error}"),
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(ModelsError::Setting {
            variable,
            why: format!("`{text}` does not begin with http:// or https:// and a host"),
        });
    }
    Ok(url)
}

/// The words for yes of the hub's Python client.
fn is_yes(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Result<Places, ModelsError> {
        Places::from_variables(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_cache_is_where_the_python_client_has_it() {
        for (variables, wanted) in [
            (vec![("HOME", "/h")], "/h/.cache/huggingface/hub"),
            (
                vec![("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
            ),
            (vec![("HOME", "/h"), ("HF_HOME", "~/hf")], "/h/hf/hub"),
            (
                vec![("HF_HOME", "/a"), ("HUGGINGFACE_HUB_CACHE", "/b")],
                "/b",
            ),
            (
                vec![("HF_HUB_CACHE", "/c"), ("HUGGINGFACE_HUB_CACHE", "/b")],
                "/c",
            ),
        ] {
            assert_eq!(places(&variables).unwrap().hub_cache, PathBuf::from(wanted));
        }
        assert!(places(&[]).is_err());
    }

    #[test]
    fn a_token_comes_from_variable_or_file_and_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let from_file = places(&[("HF_HOME", home)]).unwrap();
        assert_eq!(from_file.token.as_ref().unwrap().expose(), "hf_file");
        assert!(!format!("{from_file:?}").contains("hf_file"));
        let both = places(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]).unwrap();
        assert_eq!(both.token.unwrap().expose(), "hf_variable");
        assert!(places(&[("HF_HOME", home), ("HF_TOKEN", "hf a\nb")]).is_err());
    }

    #[test]
    fn switches_and_addresses_are_read() {
        let offline = |value| {
            places(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)])
                .unwrap()
                .is_offline
        };
        assert!(offline("1") && offline("True") && !offline("0") && !offline(""));
        assert!(places(&[("HOME", "/h"), ("HF_ENDPOINT", "hub.example")]).is_err());
        let hub = places(&[("HOME", "/h"), ("HF_ENDPOINT", "http://127.0.0.1:8/")]).unwrap();
        assert_eq!(hub.endpoint.as_str(), "http://127.0.0.1:8/");
    }
}
