//! How a connection to a `PostgreSQL` is secured, as the address says with `sslmode` and `sslrootcert`, which mean what
//! they mean to `psql`: <https://www.postgresql.org/docs/current/libpq-ssl.html>.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use ::postgres::config::SslMode;
use ::postgres::{Config, Error};
use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The value of `sslrootcert` that stands for the authorities that this machine trusts.
const SYSTEM: &str = "system";

/// Whom we want to be sure to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Security {
    /// The file with the authorities that sign the server's certificate; without one nobody is asked who they are.
    authorities: Option<String>,
    /// The certificate must be for the server's name.
    checks_name: bool,
}

/// The address `url` taken apart; else what is wrong with it, without any of it.
pub(super) fn take_apart(url: &str) -> Result<(Config, Security), String> {
    // The driver takes what stands before the first `@` for a name and a password.
    let named = url.find('@').unwrap_or(0);
    let query = url[named..].find('?').map(|at| named + at);
    let (base, query) = query.map_or((url, ""), |at| (&url[..at], &url[at + 1..]));
    let (mut mode, mut authorities, mut others) = (None, None, Vec::new());
    for option in query.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("sslmode", value)) => mode = Some(decoded(value)),
            Some(("sslrootcert", value)) => authorities = Some(decoded(value)),
            _ => others.push(option),
        }
    }
    let joint = if others.is_empty() { "" } else { "?" };
    let plain = format!("{base}{joint}{}", others.join("&"));
    let parsed = plain.parse::<Config>();
    let mut config = parsed.map_err(|_| "it is not well-formed".to_owned())?;
    let is_system = authorities.as_deref() == Some(SYSTEM);
    let default = if is_system { "verify-full" } else { "prefer" };
    let mode = mode.as_deref().unwrap_or(default);
    config.ssl_mode(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" | "verify-ca" | "verify-full" => SslMode::Require,
        _ => {
            let known = "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`";
            return Err(format!("its `sslmode` is not {known}"));
        }
    });
    match (mode, &authorities) {
        ("disable", _) => authorities = None,
        ("verify-full", None) => authorities = Some(SYSTEM.to_owned()),
        ("verify-full", _) => {}
        // Anybody can have a certificate of theirs, for another name.
        (_, Some(file)) if file == SYSTEM => {
            return Err(format!(
                "`sslrootcert={SYSTEM}` wants `sslmode=verify-full`"
            ));
        }
        ("verify-ca", None) => {
            return Err("`sslmode=verify-ca` wants `sslrootcert=FILE`".to_owned());
        }
        _ => {}
    }
    let checks_name = mode == "verify-full";
    Ok((
        config,
        Security {
            authorities,
            checks_name,
        },
    ))
}

/// `value` with its `%2F` as `/`; a `+` is one, in addresses of databases.
fn decoded(value: &str) -> String {
    let form = format!("x:?x={}", value.replace('+', "%2B"));
    let url = Url::parse(&form).ok();
    let pair = url.as_ref().and_then(|url| url.query_pairs().next());
    pair.map_or_else(|| value.to_owned(), |(_, value)| value.into_owned())
}

impl Security {
    /// What connects that way; else what is wrong with the authorities.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = Trust {
            authorities: self
                .authorities
                .as_deref()
                .map(Authorities::read)
                .transpose()?,
            checks_name: self.checks_name,
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

/// Certificates that are trusted.
#[derive(Debug)]
struct Authorities {
    roots: RootCertStore,
    all: Vec<CertificateDer<'static>>,
}

impl Authorities {
    fn read(file: &str) -> Result<Authorities, String> {
        let all = if file == SYSTEM {
            rustls_native_certs::load_native_certs().certs
        } else {
            let cannot = |why: &dyn std::fmt::Display| format!("cannot read `{file}`: {why}");
            let pem = std::fs::read(file).map_err(|error| cannot(&error))?;
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            read.map_err(|error| cannot(&error))?
        };
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(all.iter().cloned()).0 == 0 {
            return Err(match file {
                SYSTEM => "this machine trusts no authority".to_owned(),
                _ => format!("there is no certificate in `{file}`"),
            });
        }
        Ok(Authorities { roots, all })
    }
}

/// Decides whether a server is the one we want.
#[derive(Debug)]
struct Trust {
    authorities: Option<Authorities>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &authorities.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        if let Err(error) = signed {
            // A server may be its own authority, which the rules of the web do not know.
            let is_known = authorities.all.iter().any(|known| known == end_entity);
            if is_about_time(&error) || !is_known {
                let is_stranger = error.to_string().contains("CaUsedAsEndEntity");
                return Err(if is_stranger {
                    CertificateError::UnknownIssuer.into()
                } else {
                    error
                });
            }
        }
        if self.checks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn is_about_time(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return false;
    };
    matches!(
        wrong,
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
    )
}

/// What was wrong with the security of a connection, if that is why there is none.
pub(super) fn complaint(error: &Error) -> Option<String> {
    if !error
        .to_string()
        .starts_with("error performing TLS handshake")
    {
        return None;
    }
    let cause = error.source()?;
    let inner = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let Some(failure) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        // The driver says so in words only.
        return Some(match cause.to_string().as_str() {
            "server does not support TLS" => {
                "the server is without TLS, and `sslmode` wants it".to_owned()
            }
            said => said.to_owned(),
        });
    };
    Some(match failure {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::UnknownIssuer => {
                "the server's certificate is not signed by an authority that is trusted".to_owned()
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => {
                let names = if presented.is_empty() {
                    "no host".to_owned()
                } else {
                    presented.join(", ")
                };
                format!(
                    "the server's certificate is for {names}, not for {:?}",
                    expected.to_str()
                )
            }
            wrong => format!("the server's certificate is not valid: {wrong}"),
        },
        failure => failure.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_how_they_are_secured() {
        let check = |query: &str, mode: SslMode, authorities: Option<&str>, checks_name: bool| {
            let (config, security) =
                take_apart(&format!("postgres://me:a%3Fb@db/log{query}")).unwrap();
            assert_eq!(config.get_ssl_mode(), mode, "{query}");
            let authorities = authorities.map(str::to_owned);
            assert_eq!(
                security,
                Security {
                    authorities,
                    checks_name
                },
                "{query}"
            );
            assert_eq!(config.get_dbname(), Some("log"));
        };
        check("", SslMode::Prefer, None, false);
        check("?sslmode=disable", SslMode::Disable, None, false);
        check(
            "?sslmode=require&connect_timeout=3",
            SslMode::Require,
            None,
            false,
        );
        check(
            "?sslmode=verify-full",
            SslMode::Require,
            Some("system"),
            true,
        );
        check(
            "?sslrootcert=system",
            SslMode::Require,
            Some("system"),
            true,
        );
        check(
            "?sslrootcert=/a+b%2Fc&sslmode=verify-ca",
            SslMode::Require,
            Some("/a+b/c"),
            false,
        );
        let wrong =
            |query: &str| take_apart(&format!("postgres://me:geheim@db/log{query}")).unwrap_err();
        assert!(wrong("?sslmode=always").contains("`verify-full`"));
        assert!(wrong("?sslmode=require&sslrootcert=system").contains("`sslmode=verify-full`"));
        assert!(!wrong("?unknown=geheim").contains("geheim"));
    }
}
