//! The image of the pod that this runs in, for what is to run in the same.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::Api;

use crate::asked::Asked;
use crate::cluster::Cluster;
use crate::error::ClusterError;

/// The variable that a notebook's container has in Kubeflow, and a sidecar next to it has not.
const OF_NOTEBOOKS: &str = "NB_PREFIX";

impl Cluster {
    /// The image of this pod's notebook, as its specification names it; `None` outside of a pod, or where one may not
    /// see it.
    pub fn own_image(
        &self,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<String>, ClusterError> {
        let Some(files) = &self.pod else {
            return Ok(None);
        };
        let namespace = std::fs::read_to_string(files.service_account.join("namespace"));
        let (Ok(namespace), Some(name)) = (namespace, &files.name) else {
            return Ok(None);
        };
        let namespace = namespace.trim();
        let asked = Asked {
            namespace: Some(namespace.to_owned()),
            name: Some(name.clone()),
            ..self.reach.asks("get", "", "pods")
        };
        let pods: Api<Pod> = Api::namespaced(self.reach.client.clone(), namespace);
        let got = self.wait(stop, self.reach.ask(&asked, || pods.get(name)));
        match got {
            Ok(pod) => Ok(of_notebook(&pod)),
            Err(ClusterError::Forbidden(_) | ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn of_notebook(pod: &Pod) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    let is_it = |container: &&Container| {
        let mut variables = container.env.iter().flatten();
        variables.any(|variable| variable.name == OF_NOTEBOOKS)
    };
    let found = containers.iter().find(is_it).or(containers.first())?;
    found.image.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sidecar_is_not_the_notebook() {
        let image = |containers: serde_json::Value| {
            let pod = json!({"metadata": {}, "spec": {"containers": containers}});
            of_notebook(&serde_json::from_value(pod).unwrap())
        };
        let proxy = json!({"name": "istio-proxy", "image": "proxy:1"});
        let notebook = json!({"name": "lab", "image": "lab:2", "env": [{"name": "NB_PREFIX", "value": "/nb"}]});
        assert_eq!(image(json!([proxy, notebook])).as_deref(), Some("lab:2"));
        assert_eq!(image(json!([proxy])).as_deref(), Some("proxy:1"));
    }
}
