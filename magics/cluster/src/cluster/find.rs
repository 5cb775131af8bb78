//! Where a cluster is: a kubeconfig that is named, the usual one, or the service account of a pod.

use std::path::Path;

use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::runtime::Runtime;

use crate::cluster::Place;
use crate::error::ClusterError;

/// The address of the API server inside every cluster, where the environment does not say.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";

/// What was found about a cluster.
pub(super) struct Found {
    pub(super) config: Config,
    /// The file that says so.
    pub(super) file: String,
    pub(super) context: Option<String>,
    pub(super) namespace: String,
    pub(super) in_pod: bool,
}

/// A kubeconfig goes before the service account of a pod, as kubectl does it: who put one there meant it.
pub(super) fn find(place: &Place, runtime: &Runtime) -> Result<Found, ClusterError> {
    if let Some(path) = &place.kubeconfig {
        let shown = path.display().to_string();
        let read = Kubeconfig::read_from(path).map_err(|error| of_no_use(&shown, &error, None))?;
        return from_kubeconfig(place, runtime, read, shown);
    }
    let named = match place.home {
        Some(_) => String::new(),
        None => std::env::var("KUBECONFIG").unwrap_or_default(),
    };
    if !named.is_empty() {
        let read = Kubeconfig::read().map_err(|error| of_no_use(&named, &error, None))?;
        return from_kubeconfig(place, runtime, read, named);
    }
    let usual = place
        .home
        .clone()
        .or_else(std::env::home_dir)
        .map(|home| home.join(".kube/config"));
    if let Some(path) = usual.filter(|path| path.is_file()) {
        let shown = path.display().to_string();
        let read = Kubeconfig::read_from(&path).map_err(|error| of_no_use(&shown, &error, None))?;
        return from_kubeconfig(place, runtime, read, shown);
    }
    if let (Some(name), true) = (&place.context, place.pod.server.is_some()) {
        return Err(ClusterError::Config {
            file: "~/.kube/config".to_owned(),
            why: format!("it is not there, hence no context `{name}`"),
            hint: "leave `--context` out to see the cluster of this pod".to_owned(),
        });
    }
    let token = place.pod.service_account.join("token");
    if place.pod.server.is_some() && token.is_file() {
        return from_pod(place);
    }
    if place.pod.server.is_some() {
        return Err(ClusterError::Config {
            file: token.display().to_string(),
            why: "this pod has no token of a service account".to_owned(),
            hint: "set `automountServiceAccountToken: true` in the pod's specification, or put a kubeconfig at \
                   `~/.kube/config`"
                .to_owned(),
        });
    }
    Err(ClusterError::NoConfig {
        looked: "`~/.kube/config`".to_owned(),
    })
}

fn from_kubeconfig(
    place: &Place,
    runtime: &Runtime,
    read: Kubeconfig,
    file: String,
) -> Result<Found, ClusterError> {
    let names: Vec<String> = read
        .contexts
        .iter()
        .map(|one| format!("`{}`", one.name))
        .collect();
    let names = names.join(", ");
    let options = KubeConfigOptions {
        context: place.context.clone(),
        ..KubeConfigOptions::default()
    };
    let context = place
        .context
        .clone()
        .or_else(|| read.current_context.clone());
    let proxied = read.clusters.iter().any(|one| {
        one.cluster
            .as_ref()
            .is_some_and(|cluster| cluster.proxy_url.is_some())
    });
    let mut config = runtime
        .block_on(Config::from_custom_kubeconfig(read, &options))
        .map_err(|error| of_no_use(&file, &error, Some(&names)))?;
    if !proxied {
        // The library takes HTTPS_PROXY for every server; a cluster in the house is not behind it.
        config.proxy_url = None;
    }
    let namespace = place
        .namespace
        .clone()
        .unwrap_or_else(|| config.default_namespace.clone());
    Ok(Found {
        config,
        file,
        context,
        namespace,
        in_pod: false,
    })
}

fn from_pod(place: &Place) -> Result<Found, ClusterError> {
    let folder = &place.pod.service_account;
    let broken = |path: &Path, why: String| ClusterError::Config {
        file: path.display().to_string(),
        why,
        hint: "start the pod again: Kubernetes writes that file".to_owned(),
    };
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| broken(&path, error.to_string()))
    };
    let server = place.pod.server.as_deref().unwrap_or(IN_CLUSTER);
    let url = server.parse().map_err(|error| {
        broken(
            Path::new("KUBERNETES_SERVICE_HOST"),
            format!("{error}: `{server}`"),
        )
    })?;
    let mut config = Config::new(url);
    // The token is read again when it gets old: Kubernetes changes it every hour.
    config.auth_info = AuthInfo {
        token_file: Some(folder.join("token").display().to_string()),
        ..AuthInfo::default()
    };
    // Of the certificate the kubeconfig reader makes what the connection needs.
    config.root_cert = authority(&read("ca.crt")?, &folder.join("ca.crt"))?;
    let own = read("namespace")?.trim().to_owned();
    config.default_namespace.clone_from(&own);
    Ok(Found {
        config,
        file: folder.display().to_string(),
        context: None,
        namespace: place.namespace.clone().unwrap_or(own),
        in_pod: true,
    })
}

/// The certificates in `text`, each as DER.
fn authority(text: &str, path: &Path) -> Result<Option<Vec<Vec<u8>>>, ClusterError> {
    use base64::Engine as _;
    let mut found = Vec::new();
    for part in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let body: String = part
            .split("-----END")
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body);
        found.push(der.map_err(|error| ClusterError::Config {
            file: path.display().to_string(),
            why: error.to_string(),
            hint: "start the pod again: Kubernetes writes that file".to_owned(),
        })?);
    }
    Ok((!found.is_empty()).then_some(found))
}

fn of_no_use(file: &str, error: &KubeconfigError, contexts: Option<&str>) -> ClusterError {
    let (why, hint) = match (error, contexts) {
        (KubeconfigError::LoadContext(name), Some(names)) => (
            format!("it has no context `{name}`"),
            format!("`--context` takes one of {names}"),
        ),
        (KubeconfigError::CurrentContextNotSet, Some(names)) if !names.is_empty() => (
            "it names no current context".to_owned(),
            format!("`kubectl config use-context NAME` chooses one of {names}"),
        ),
        (KubeconfigError::ReadConfig(error, _), _) => (
            error.to_string(),
            "`microk8s config > ~/.kube/config` on the node writes one".to_owned(),
        ),
        // The parser quotes lines of the file, and keys stand in them.
        (KubeconfigError::Parse(error), _) => {
            let line = error.location().map_or(0, |at| at.line());
            (
                format!("it cannot be read as YAML, see its line {line}"),
                "`microk8s config > ~/.kube/config` on the node writes a fresh one".to_owned(),
            )
        }
        (error, _) => (
            error.to_string(),
            "`kubectl config view` shows what is in it; `microk8s config` on the node prints a fresh one".to_owned(),
        ),
    };
    ClusterError::Config {
        file: file.to_owned(),
        why,
        hint,
    }
}
