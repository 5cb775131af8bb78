//! Claims of volumes.

use k8s_openapi::api::core::v1 as core;

use crate::inventory::Volume;
use crate::quantity;

pub(super) fn volume(claim: core::PersistentVolumeClaim) -> Volume {
    let spec = claim.spec.unwrap_or_default();
    let status = claim.status.unwrap_or_default();
    let bound = status.phase.as_deref() == Some("Bound");
    let has = status.capacity.as_ref().and_then(|all| all.get("storage"));
    let wants = spec
        .resources
        .as_ref()
        .and_then(|all| all.requests.as_ref()?.get("storage"));
    Volume {
        namespace: claim.metadata.namespace.unwrap_or_default(),
        name: claim.metadata.name.unwrap_or_default(),
        size: quantity::bytes(has.filter(|_| bound).or(wants)),
        bound,
        class: spec.storage_class_name,
        modes: spec.access_modes.unwrap_or_default(),
    }
}
