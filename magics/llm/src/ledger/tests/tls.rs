//! A server that speaks TLS only, and one that does not.

use std::process::Command;

use super::server::Server;
use super::*;

/// A ledger on `server`, found by the name `host`, with `query` at the end of its address.
fn open(server: &Server, host: &str, query: &str) -> Result<Ledger, LedgerError> {
    let query = query.replace("FOLDER", &server.folder.display().to_string());
    Ledger::open(&format!(
        "postgres://tests:geheim@{host}:{}/postgres{query}",
        server.port
    ))
}

/// Gives `server` the certificate `name`.
fn certify(server: &Server, name: &str) {
    for kind in ["pem", "key"] {
        // In place: the file is the server's, and for its eyes only.
        let text = std::fs::read(server.folder.join(format!("{name}.{kind}"))).unwrap();
        std::fs::write(server.folder.join(format!("server.{kind}")), text).unwrap();
    }
    let pid = std::fs::read_to_string(server.folder.join("data/postmaster.pid")).unwrap();
    let told = Command::new("kill")
        .args(["-HUP", pid.lines().next().unwrap()])
        .status();
    assert!(told.unwrap().success());
}

#[test]
fn a_ledger_is_reached_through_tls_as_its_address_says() {
    let Some(server) = server::start(true) else {
        return;
    };
    for name in ["alone", "signed"] {
        certify(&server, name);
        let known = if name == "alone" { "alone" } else { "ca" };
        let trusted = format!("sslrootcert=FOLDER/{known}.pem");
        // The server reads its new certificate a while after it is told.
        let strict = format!("?sslmode=verify-full&{trusted}");
        (0..500).find(|_| open(&server, "localhost", &strict).is_ok());
        let good = |host: &str, query: &str| {
            let mut ledger = open(&server, host, query).unwrap();
            ledger.begin(&call(1), &[limit(1000.0)]).unwrap();
            let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            assert_eq!(
                ledger.store.query(sql, &[]).unwrap(),
                [[Value::Int(1)]],
                "{query}"
            );
        };
        good("127.0.0.1", "");
        good("127.0.0.1", "?sslmode=require");
        good("127.0.0.1", &format!("?sslmode=verify-ca&{trusted}"));
        good("localhost", &strict);
        let bad = |host: &str, query: &str, expected: &str| {
            let error = open(&server, host, query).unwrap_err();
            let said = format!("{error}; {}", error.hint());
            assert!(matches!(error, LedgerError::Insecure { .. }), "{said}");
            assert!(
                said.contains(expected) && !said.contains("geheim"),
                "{said}"
            );
        };
        bad(
            "127.0.0.1",
            &strict,
            "the server's certificate is for DnsName(\"localhost\"), not for \"127.0.0.1\"",
        );
        let unknown = "the server's certificate is not signed by an authority that is trusted";
        bad(
            "localhost",
            "?sslmode=verify-full&sslrootcert=FOLDER/other.pem",
            unknown,
        );
        bad(
            "localhost",
            "?sslmode=require&sslrootcert=FOLDER/other.pem",
            unknown,
        );
        bad("localhost", "?sslmode=verify-full", unknown);
        bad(
            "localhost",
            "?sslrootcert=FOLDER/none.pem",
            "none.pem`: No such file",
        );
        bad(
            "localhost",
            "?sslrootcert=FOLDER/password",
            "there is no certificate in",
        );
    }
    let error = open(&server, "localhost", "?sslmode=disable").unwrap_err();
    assert!(error.to_string().contains("no encryption"), "{error}");
}

#[test]
fn a_server_without_tls_is_refused_when_tls_is_wanted() {
    // One that a variable names may have it.
    let Some(server) = server::start(false) else {
        return;
    };
    assert!(open(&server, "localhost", "?sslmode=prefer").is_ok());
    let error = open(&server, "127.0.0.1", "?sslmode=require").unwrap_err();
    assert!(error.hint().contains("`?sslmode=disable`"));
    assert_eq!(
        error.to_string(),
        format!(
            "the ledger at `postgresql://127.0.0.1:{}/postgres` cannot be reached safely: the server is without TLS, \
             and `sslmode` wants it",
            server.port
        )
    );
}
