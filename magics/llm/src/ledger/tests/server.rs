//! A `PostgreSQL` of our own: real, on a free port, gone with the process that wanted it, however that ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Serves until its input ends, and leaves nothing behind.
const LIFE: &str = r#"
    set -e
    trap '' INT
    bin=$1 port=$2
    folder=$(mktemp -d)
    trap '"$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1; rm -rf "$folder"' EXIT
    cd "$folder"
    echo geheim > password
    "$bin/initdb" -D data -U tests -A trust --pwfile=password --no-sync -E UTF8 >/dev/null
    options="-p $port -k $folder -c listen_addresses=127.0.0.1 -c fsync=off"
    if [ "$3" = tls ]; then
        sign="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -addext subjectAltName=DNS:localhost"
        for name in alone ca other; do $sign -subj "/CN=$name" -keyout $name.key -out $name.pem 2>>log; done
        $sign -subj /CN=server -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE \
            -keyout signed.key -out signed.pem 2>>log
        echo 'hostssl all all all scram-sha-256' > data/pg_hba.conf
        options="$options -c ssl=on -c ssl_cert_file=$folder/server.pem -c ssl_key_file=$folder/server.key"
        cp alone.pem server.pem
        cp alone.key server.key
    fi
    "$bin/pg_ctl" -D data -o "$options" -l log -w start >/dev/null
    echo "$folder"
    cat >/dev/null
"#;

/// A server that runs as long as this is there.
pub(super) struct Server {
    /// Where it listens, at 127.0.0.1.
    pub(super) port: u16,
    /// Its files.
    pub(super) folder: PathBuf,
    /// It lives until its input ends.
    life: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.life.stdin.take());
        self.life.wait().unwrap();
    }
}

/// The address of the server that all tests share: what `MLK8S_TEST_POSTGRES` holds, else one of our own, without TLS.
/// None where there are no programs for one; that is told, and is a failure where nobody would notice.
pub(super) fn shared() -> Option<String> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    let named = std::env::var("MLK8S_TEST_POSTGRES").ok();
    named.or_else(|| {
        let server = SHARED.get_or_init(|| start(false)).as_ref()?;
        Some(format!(
            "postgres://tests@127.0.0.1:{}/postgres",
            server.port
        ))
    })
}

/// A server; one with TLS wants the password `geheim`.
pub(super) fn start(with_tls: bool) -> Option<Server> {
    let Some(programs) = programs() else {
        let missing = "no PostgreSQL: install it (Debian: apt-get install postgresql); the ledger is tested on a file only\n";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        std::io::stderr().write_all(missing.as_bytes()).unwrap();
        return None;
    };
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    // It refuses to run as root.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if is_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    let mut child = command
        .args(["-c", LIFE, "sh"])
        .arg(programs)
        .args([
            port.to_string().as_str(),
            if with_tls { "tls" } else { "plain" },
        ])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut folder = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut folder).unwrap();
    assert!(
        !folder.is_empty(),
        "the server does not start: {:?}",
        child.wait()
    );
    Some(Server {
        port,
        folder: PathBuf::from(folder.trim_end()),
        life: child,
    })
}

/// The folder of the newest programs; Debian keeps them off the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut folders: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.splice(0..0, std::env::split_paths(&path));
    folders
        .into_iter()
        .rfind(|folder| folder.join("initdb").is_file())
}
