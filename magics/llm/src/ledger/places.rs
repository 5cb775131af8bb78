//! Places of databases: which are addresses of a server, and how they are shown without a password.

use std::path::Path;

use ::postgres::Config;
use ::postgres::config::Host;

use super::error::LedgerError;
use super::tls;

/// What is shown of an address that cannot be taken apart: any of it may be the password.
pub(super) const HIDDEN: &str = "postgresql://…";

/// Whether `target` is an address of `PostgreSQL`; else it is a path.
pub(super) fn is_address(target: &str) -> Result<bool, LedgerError> {
    let refuse = |place: String, why: &str| {
        let why = why.to_owned();
        Err(LedgerError::Address { place, why })
    };
    let Some((scheme, _)) = target.split_once("://") else {
        return match target {
            "" => refuse(String::new(), "it is empty"),
            _ => Ok(false),
        };
    };
    match scheme {
        "postgres" | "postgresql" => match tls::take_apart(target) {
            Ok(_) => Ok(true),
            Err(why) => refuse(HIDDEN.to_owned(), &why),
        },
        // Whatever follows may hold a password.
        _ => refuse(
            format!("{scheme}://…"),
            "only `postgres` and files are known",
        ),
    }
}

/// An address as `postgresql://HOST:PORT/DATABASE`, a path as it is.
pub(super) fn shown(target: &str) -> String {
    if !target.contains("://") {
        return target.to_owned();
    }
    let parts = tls::take_apart(target).ok();
    parts
        .and_then(|(config, _)| known(&config))
        .unwrap_or_else(|| HIDDEN.to_owned())
}

/// What tells the database at `target`, shown as `place`, from others; not to be shown.
pub(super) fn identity(place: &str, target: &str) -> String {
    let config = tls::take_apart(target).ok().map(|(config, _)| config);
    let whole = config.filter(|config| place == HIDDEN || config.get_options().is_some());
    whole.map_or_else(
        || place.to_owned(),
        |config| {
            let hosts = (config.get_hosts(), config.get_ports());
            format!(
                "{hosts:?} {:?} {:?}",
                config.get_dbname(),
                config.get_options()
            )
        },
    )
}

/// A password with an `@` that is not escaped ends up in the host's name, and a query's in the user's: so an address
/// is shown only when each part looks like what it should be.
fn known(config: &Config) -> Option<String> {
    let plain = |text: &str| {
        let known = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        text.chars().all(known).then(|| text.to_owned())
    };
    plain(config.get_user().unwrap_or_default())?;
    let database = plain(config.get_dbname().unwrap_or_default())?;
    let mut hosts = Vec::new();
    for (k, host) in config.get_hosts().iter().enumerate() {
        let name = match host {
            Host::Tcp(name) if name.contains(':') => {
                format!("[{}]", plain(&name.replace(':', "."))?.replace('.', ":"))
            }
            Host::Tcp(name) => plain(name)?,
            Host::Unix(path) => path.to_str().filter(|path| !path.contains('@'))?.to_owned(),
        };
        let ports = config.get_ports();
        let port = ports.get(k).or(ports.first()).copied().unwrap_or(5432);
        hosts.push(format!("{name}:{port}"));
    }
    Some(format!("postgresql://{}/{database}", hosts.join(",")))
}

/// Kinds of disks whose files other machines write too, or that may be of that kind.
const SHARED_DISKS: &[&str] = &[
    "9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "smb3", "smbfs", "virtiofs", "wekafs",
];

/// Whether `folder` lies on a network disk, by a table of mounts as in `/proc/mounts`.
pub(super) fn on_network_disk(folder: &Path, mounts: &str) -> bool {
    let mut longest = (0, false);
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(mount), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let mount = mount.replace("\\040", " ");
        let depth = Path::new(&mount).components().count();
        // Of two mounts at one place the later one hides the other.
        if folder.starts_with(&mount) && depth >= longest.0 {
            longest = (
                depth,
                SHARED_DISKS.contains(&kind) || kind.starts_with("fuse."),
            );
        }
    }
    longest.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let check = |target: &str, expected: &str| assert_eq!(shown(target), expected, "{target}");
        check(
            "postgres://me:geheim@db.local/log",
            "postgresql://db.local:5432/log",
        );
        check(
            "postgres://me:geheim@[::1]:5433/log",
            "postgresql://[::1]:5433/log",
        );
        check(
            "postgres://me:ge%40heim@db:1,db2:2/log?connect_timeout=1&sslmode=verify-full",
            "postgresql://db:1,db2:2/log",
        );
        check(
            "postgres://me@%2Frun%2Fpg:5544/log",
            "postgresql:///run/pg:5544/log",
        );
        for target in [
            "postgres://me:ge@heim@db/log",
            "postgres://db/log?user=me&password=ge@heim",
            "postgres://me:ge/heim",
            "postgres://me:geheim@db:none/log",
            "postgres://me:geheim@db/log?unknown=geheim",
        ] {
            assert!(
                !shown(target).contains("heim"),
                "{target}: {}",
                shown(target)
            );
            if let Err(error) = is_address(target) {
                assert!(!format!("{error} {error:?}").contains("heim"), "{error:?}");
            }
        }
        let error = is_address("mysql://me:geheim@db/log").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`mysql://…` is no place for a ledger: only `postgres` and files are known"
        );
    }

    #[test]
    fn network_disks_are_known_by_their_mount() {
        let mounts = "/dev/sda1 / ext4 rw 0 0\nnas:/home /home nfs4 rw 0 0\ntmpfs /home/me/my\\040tmp tmpfs rw 0 0\n\
                      s3 /data fuse.s3fs rw 0 0\n";
        let check = |folder: &str, expected: bool| {
            assert_eq!(
                on_network_disk(Path::new(folder), mounts),
                expected,
                "{folder}"
            );
        };
        check("/var/lib", false);
        check("/home/me", true);
        check("/homes", false);
        check("/home/me/my tmp/x", false);
        check("/data/x", true);
        assert!(!on_network_disk(Path::new("/home"), ""));
    }
}
