"""A stand-in for the API server of a small cluster: lists, page by page, and what the account may not see.

It speaks the protocol of Kubernetes (https://kubernetes.io/docs/reference/using-api/api-concepts/): kinds `…List` with
`metadata.continue`, `Status` objects with `reason` for what is forbidden or not there. Nothing can be changed.
"""

import http.server
import json
import threading
import urllib.parse
from datetime import datetime, timedelta, timezone
from pathlib import Path

TOKEN = "a-token-of-this-test"
GROUPS = {
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "notebooks": "/apis/kubeflow.org/v1",
}
KINDS = {"persistentvolumeclaims": "PersistentVolumeClaim"}


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


class ApiServer:
    """Serves `objects` to those who know the token; lists named in `denied` are forbidden to them."""

    def __init__(self, objects, denied=()):
        self.objects, self.denied = objects, set(denied)
        self.asked = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def kubeconfig(self, folder, token=TOKEN):
        """A file by which clients find the server."""
        path = Path(folder) / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "home",
            "contexts": [{"name": "home", "context": {"cluster": "home", "user": "me", "namespace": "mlk8s"}}],
            "clusters": [{"name": "home", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": token}}],
        }
        path.write_text(json.dumps(config))
        return str(path)

    def handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                code, answer = server.answer(self.path, self.headers.get("Authorization"))
                body = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler

    def answer(self, target, authorization):
        """Status and body of what is at `target`."""
        path, _, query = target.partition("?")
        self.asked.append(path)
        if authorization != f"Bearer {TOKEN}":
            return failure(401, "Unauthorized", "Unauthorized")
        if path == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.1", "gitCommit": "", "gitTreeState": "",
                         "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}
        prefix, _, resource = path.rpartition("/")
        base, _, namespace = prefix.partition("/namespaces/")
        if GROUPS.get(resource) != base:
            return failure(404, "NotFound", "the server could not find the requested resource")
        if resource in self.denied:
            said = f'{resource} is forbidden: User "me" cannot list resource "{resource}" at the cluster scope'
            return failure(403, "Forbidden", said)
        found = [one for one in self.objects[resource] if not namespace or one["metadata"]["namespace"] == namespace]
        return 200, page(resource, found, dict(urllib.parse.parse_qsl(query)))


def page(resource, found, asked):
    """A part of a list, and how to get the next one."""
    kind = KINDS.get(resource, resource.rstrip("s").capitalize())
    # Fewer than anybody asks for, so that there is more than one page.
    first, size = int(asked.get("continue", "0")), min(int(asked.get("limit", "500")), 20)
    metadata = {"resourceVersion": "1"}
    if first + size < len(found):
        metadata["continue"] = str(first + size)
    return {
        "apiVersion": GROUPS[resource].removeprefix("/apis/").removeprefix("/api/"),
        "kind": f"{kind}List",
        "metadata": metadata,
        "items": found[first : first + size],
    }


def failure(code, reason, message):
    """A refusal as Kubernetes words it."""
    return code, {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
