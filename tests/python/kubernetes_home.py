"""The cluster of somebody with one GPU, as objects."""

from datetime import datetime, timedelta, timezone


def ago(**time):
    """That long ago, as Kubernetes writes it."""
    return (datetime.now(timezone.utc) - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def node(name, gpus=0):
    """A machine that is ready."""
    has = {"cpu": "16", "memory": "64Gi", "pods": "110", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    labels = {"nvidia.com/gpu.product": "NVIDIA-RTX-A6000"} if gpus else {"node-role.kubernetes.io/control-plane": ""}
    return {
        "metadata": {"name": name, "uid": name, "labels": labels, "creationTimestamp": ago(days=40)},
        "spec": {},
        "status": {
            "capacity": has,
            "allocatable": has,
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.34.1"},
        },
    }


def pod(name, node=None, gpus=0, owner=None, claim=None, labels=None):
    """A pod that runs on `node`, or waits for a GPU."""
    wants = {"cpu": "2", "memory": "8Gi", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    spec = {"containers": [{"name": "main", "image": "x:1", "resources": {"requests": wants, "limits": wants}}]}
    if claim:
        spec["volumes"] = [{"name": "home", "persistentVolumeClaim": {"claimName": claim}}]
    status = {"phase": "Running" if node else "Pending", "startTime": ago(hours=3)}
    if node:
        spec["nodeName"] = node
    else:
        why = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
        status["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}]
    owners = [{"apiVersion": "apps/v1", "kind": owner, "name": name, "uid": "o", "controller": True}] if owner else []
    return {
        "metadata": {
            "namespace": "mlk8s",
            "name": f"{name}-0",
            "uid": name,
            "labels": labels or {},
            "ownerReferences": owners,
            "creationTimestamp": ago(hours=3),
        },
        "spec": spec,
        "status": status,
    }


def home():
    """The cluster of somebody with one GPU: by resource, the objects."""
    return {
        "nodes": [node("attic"), node("cellar", gpus=1)],
        "pods": [
            pod("llm", "cellar", gpus=1, owner="StatefulSet", labels={"app.kubernetes.io/name": "llm"}),
            pod("mlk8s", "attic", owner="StatefulSet", claim="mlk8s-home"),
            pod("second-model", gpus=1, owner="StatefulSet"),
            *(pod(f"small-{at}", "attic") for at in range(30)),
        ],
        "services": [
            {
                "metadata": {
                    "namespace": "mlk8s",
                    "name": "llm",
                    "uid": "s",
                    "labels": {"mlk8s.dev/endpoint": "openai"},
                },
                "spec": {"ports": [{"name": "openai", "port": 8000}], "selector": {"app.kubernetes.io/name": "llm"}},
            }
        ],
        "persistentvolumeclaims": [
            {
                "metadata": {"namespace": "mlk8s", "name": "mlk8s-home", "uid": "v"},
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "openebs-hostpath"},
                "status": {"phase": "Bound", "capacity": {"storage": "20Gi"}},
            }
        ],
        "notebooks": [
            {
                "apiVersion": "kubeflow.org/v1",
                "kind": "Notebook",
                "metadata": {"namespace": "mlk8s", "name": "mlk8s", "uid": "n"},
                "spec": {"template": {"spec": {"containers": [{"name": "mlk8s", "image": "mlk8s-notebook:0.1.0"}]}}},
                "status": {"readyReplicas": 1, "containerState": {"running": {"startedAt": ago(hours=3)}}},
            }
        ],
    }
