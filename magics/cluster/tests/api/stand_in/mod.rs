//! A stand-in for the API server of Kubernetes: the real one's paths, pages, errors and streams over HTTP, objects in memory.

pub(crate) mod admission;
pub(crate) mod discovery;
pub(crate) mod pods;
pub(crate) mod transport;
pub(crate) mod verbs;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mlk8s_cluster::cluster::{Cluster, Patience, Place, PodFiles};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use world::World;

/// The token that the stand-in knows.
pub(crate) const TOKEN: &str = "token-of-anna";

/// A server on a port of its own, until the test ends.
pub(crate) struct StandIn {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    folder: tempfile::TempDir,
    is_tls: bool,
}

impl StandIn {
    /// Starts a server that answers from `world`.
    pub(crate) fn start(world: World) -> StandIn {
        StandIn::listen(world, None)
    }

    /// The same behind TLS, with the certificate called `name` in the fixtures.
    pub(crate) fn with_tls(world: World, name: &str) -> StandIn {
        let read = |end: &str| fixtures().join(format!("{name}{end}"));
        let chain: Vec<CertificateDer> = CertificateDer::pem_file_iter(read(".crt"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_file(read(".key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        StandIn::listen(world, Some(Arc::new(config)))
    }

    fn listen(world: World, tls: Option<Arc<rustls::ServerConfig>>) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(world));
        let (shared, is_tls) = (Arc::clone(&world), tls.is_some());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || transport::serve(stream, tls, &shared));
            }
        });
        StandIn {
            address,
            world,
            folder: tempfile::tempdir().unwrap(),
            is_tls,
        }
    }

    /// The objects and rules, to be looked at or changed.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// A kubeconfig for this server with `token`, and `authority` for TLS.
    pub(crate) fn kubeconfig(&self, token: &str, authority: Option<&str>) -> PathBuf {
        let authority = authority.map_or_else(String::new, |name| {
            format!(
                ", certificate-authority: {}",
                fixtures().join(name).display()
            )
        });
        let path = self.folder.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: home\n\
             clusters:\n- {{name: home, cluster: {{server: \"{}\"{authority}}}}}\n\
             users:\n- {{name: anna, user: {{token: {token}}}}}\n\
             contexts:\n- {{name: home, context: {{cluster: home, user: anna, namespace: anna}}}}\n",
            self.url()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Where this server is found.
    pub(crate) fn place(&self) -> Place {
        place(self.kubeconfig(TOKEN, None))
    }

    pub(crate) fn connect(&self) -> Cluster {
        Cluster::connect(&self.place()).unwrap()
    }

    /// How often each path was asked for, without what follows the question mark.
    pub(crate) fn asked(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in &self.world().asked {
            let path = line.split('?').next().unwrap_or_default();
            *counts.entry(path.to_owned()).or_insert(0) += 1;
        }
        counts
    }
}

/// A kubeconfig, with the patience of a test.
pub(crate) fn place(kubeconfig: PathBuf) -> Place {
    Place {
        kubeconfig: Some(kubeconfig),
        patience: Patience {
            connect: Duration::from_secs(2),
            read: Duration::from_millis(700),
            look: Duration::from_millis(20),
        },
        pod: no_pod(),
        ..Place::default()
    }
}

/// As outside of a pod, wherever the tests run.
pub(crate) fn no_pod() -> PodFiles {
    PodFiles {
        service_account: "/nonexistent".into(),
        cgroup: "/nonexistent".into(),
        server: None,
        name: None,
    }
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Never wants to stop.
pub(crate) fn go_on() -> bool {
    false
}
