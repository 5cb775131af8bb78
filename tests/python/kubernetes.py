"""A stand-in for the API server of a small cluster, and for what else makes a cluster of it: Jobs that are made here run.

It speaks the protocol of Kubernetes (https://kubernetes.io/docs/reference/using-api/api-concepts/): kinds `…List` with
`metadata.continue`, objects that are made, applied and deleted, `Status` objects with `reason` and `details` for what is
forbidden, not there, there already or somebody else's, headers that warn, pod security by the labels of a namespace. Field by
field it checks nothing; test_manifests.py does.
"""

import http.server
import itertools
import json
import threading
import urllib.parse
import uuid
from pathlib import Path

from kubernetes_admission import admit, warning
from kubernetes_apply import Conflict, applied
from kubernetes_home import ago
from kubernetes_jobs import Runner
from kubernetes_kinds import KINDS, Refusal, discovery, kind_of, page, place_of

TOKEN = "a-token-of-this-test"
# Who the token stands for.
USER = "system:serviceaccount:mlk8s:mlk8s-notebook"
NAMESPACE = "mlk8s"


class ApiServer:
    """Serves `objects` to those who know the token.

    What is named in `denied` is forbidden to them, a resource for its lists or `VERB RESOURCE`. Pods of Jobs run as
    processes with the environment `image`, for a real image brings its own; their files are in `folder`. The namespace has
    `labels`, such as those of pod security.
    """

    def __init__(self, objects, denied=(), folder=None, image=None, labels=None):
        self.denied = {one if " " in one else f"list {one}" for one in denied}
        self.objects = {kind.plural: {} for kind in KINDS}
        self.version = itertools.count(2)
        self.lock = threading.RLock()
        # By the beginning of a request's line, what its answer waits for.
        self.holds = {}
        # Paths that were asked for, whole first lines of requests, and what was made.
        self.asked, self.lines, self.made = [], [], []
        # By object, who has applied which field.
        self.owners = {}
        self.runner = None
        # What the answer that a thread makes warns of.
        self.warned = threading.local()
        self.put("namespaces", {"metadata": {"name": NAMESPACE, "labels": labels or {}}})
        for plural, all_of_it in objects.items():
            for one in all_of_it:
                self.put(plural, one)
        if folder:
            self.runner = Runner(self, folder, image)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        for hold in self.holds.values():
            hold.set()
        if self.runner:
            self.runner.end()
        self.server.shutdown()
        self.server.server_close()

    def kubeconfig(self, folder, token=TOKEN):
        """A file by which clients find the server."""
        path = Path(folder) / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "home",
            "contexts": [{"name": "home", "context": {"cluster": "home", "user": "me", "namespace": NAMESPACE}}],
            "clusters": [{"name": "home", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": token}}],
        }
        path.write_text(json.dumps(config))
        return str(path)

    def hold(self, line):
        """Lets requests whose first line begins so wait for their answer, until the test ends or `set` is called."""
        self.holds[line] = threading.Event()
        return self.holds[line]

    # The objects.

    def put(self, plural, one):
        """Puts an object there, without a question."""
        kind = kind_of(plural)
        meta = one["metadata"]
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", ago())
        meta["resourceVersion"] = str(next(self.version))
        one.setdefault("apiVersion", kind.api)
        one.setdefault("kind", kind.name)
        with self.lock:
            self.objects[plural][meta.get("namespace", ""), meta["name"]] = one
            if self.runner:
                self.runner.look()
        return one

    def all(self, plural, namespace=None):
        """The objects of a kind, in the order of their names."""
        with self.lock:
            found = sorted(self.objects[plural].items())
        return [one for (place, _), one in found if namespace in (None, place)]

    def drop(self, plural, namespace, name):
        """Takes an object away, and what belongs to it, as the garbage collector does."""
        with self.lock:
            gone = self.objects[plural].pop((namespace, name), None)
            self.owners.pop((plural, namespace, name), None)
            if self.runner:
                self.runner.look()
        if gone is None:
            return
        if plural == "pods" and self.runner:
            self.runner.kill(gone["metadata"]["uid"])
        for other in KINDS:
            for one in self.all(other.plural):
                if any(owner["uid"] == gone["metadata"]["uid"] for owner in one["metadata"].get("ownerReferences", [])):
                    self.drop(other.plural, one["metadata"].get("namespace", ""), one["metadata"]["name"])

    # The verbs.

    def answer(self, method, target, headers, body):
        """Status and body of an answer; or status and a generator of bytes, for a log."""
        path, _, query = target.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        self.asked.append(path)
        self.lines.append(f"{method} {target}")
        self.warned.all = []
        for line, hold in list(self.holds.items()):
            if f"{method} {target}".startswith(line):
                hold.wait()
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        known = discovery(path)
        if known:
            return 200, known
        kind, namespace, name, part = place_of(path)
        verb = {"GET": "get" if name else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(method)
        self.admit(verb, kind, namespace, name, part)
        if part:
            return 200, self.log(namespace, name, asked)
        if verb == "list":
            return 200, page(kind, self.all(kind.plural, namespace or None), asked)
        if verb == "create":
            return 201, self.create(kind, namespace, json.loads(body))
        if verb == "patch":
            return self.patch(kind, namespace, name, asked, headers, json.loads(body))
        if verb == "delete":
            return 200, self.delete(kind, namespace, name, json.loads(body or "{}"))
        return 200, self.one(kind, namespace, name)

    def admit(self, verb, kind, namespace, name, part):
        """Refuses what the rights of the account do not have."""
        resource = f"{kind.plural}/{part}" if part else kind.plural
        if f"{verb} {resource}" not in self.denied:
            return
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        what = f'{kind.full} "{name}"' if name else kind.full
        said = f'{what} is forbidden: User "{USER}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
        raise Refusal(403, "Forbidden", said, kind=kind.plural, **({"group": kind.group} if kind.group else {}))

    def one(self, kind, namespace, name):
        """The object of that name."""
        with self.lock:
            found = self.objects[kind.plural].get((namespace, name))
        if found is None:
            raise Refusal(404, "NotFound", f'{kind.full} "{name}" not found', name=name, kind=kind.plural)
        return found

    def guard(self, kind, namespace, one):
        """Holds an object against the pod security of its namespace."""
        place = self.one(kind_of("namespaces"), "", namespace)
        if kind.plural == "pods":
            admit(place, one["metadata"]["name"], one["spec"])
        said = warning(place, one)
        if said:
            self.warned.all.append(said)

    def create(self, kind, namespace, one):
        """A new object."""
        name = one["metadata"]["name"]
        self.guard(kind, namespace, one)
        one["metadata"]["namespace"] = namespace
        with self.lock:
            if (namespace, name) in self.objects[kind.plural]:
                raise Refusal(409, "AlreadyExists", f'{kind.full} "{name}" already exists', name=name, kind=kind.plural)
            self.made.append(self.put(kind.plural, one))
        if kind.plural == "jobs" and self.runner:
            self.runner.begin(one)
        return one

    def patch(self, kind, namespace, name, asked, headers, wanted):
        """Server-side apply."""
        if headers.get("Content-Type") != "application/apply-patch+yaml":
            raise Refusal(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        manager = asked.get("fieldManager")
        if not manager:
            said = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
            raise Refusal(422, "Invalid", said)
        if kind.namespaced:
            self.guard(kind, namespace, wanted)
            wanted["metadata"]["namespace"] = namespace
        key = namespace if kind.namespaced else "", name
        with self.lock:
            live = self.objects[kind.plural].get(key)
            try:
                made, owners = applied(live, wanted, manager, self.owners.get((kind.plural, *key), {}), "force" in asked)
            except Conflict as conflict:
                raise Refusal(409, "Conflict", str(conflict), causes=conflict.causes) from None
            is_job = kind.plural == "jobs"
            if is_job and live and live["spec"]["template"] != made["spec"]["template"]:
                said = f'Job.batch "{name}" is invalid: spec.template: Invalid value: field is immutable'
                raise Refusal(422, "Invalid", said, name=name, kind="Job")
            if "dryRun" not in asked:
                self.owners[kind.plural, *key] = owners
                self.put(kind.plural, made)
        if is_job and not live and self.runner and "dryRun" not in asked:
            self.runner.begin(made)
        return 200 if live else 201, made

    def delete(self, kind, namespace, name, options):
        """Takes an object away; its pods stay unless one says otherwise, which is so for Jobs alone."""
        gone = self.one(kind, namespace, name)
        if kind.plural == "jobs" and options.get("propagationPolicy") not in ("Background", "Foreground"):
            with self.lock:
                del self.objects["jobs"][namespace, name]
        else:
            self.drop(kind.plural, namespace, name)
        details = {"name": name, "kind": kind.plural, "uid": gone["metadata"]["uid"]}
        return {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "details": details}

    def log(self, namespace, name, asked):
        """What a pod has written, and writes."""
        pod = self.one(kind_of("pods"), namespace, name)
        containers = [one["name"] for one in pod["spec"]["containers"]]
        container = asked.get("container", containers[0])
        if container not in containers:
            raise Refusal(400, "BadRequest", f"container {container} is not valid for pod {name}")
        log = self.runner.log(pod["metadata"]["uid"]) if self.runner else None
        if log is None:
            said = f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            raise Refusal(400, "BadRequest", said)
        return log.read(asked)


def handler(server):
    """What answers for `server`, a thread for each connection."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                code, answer = server.answer(self.command, self.path, self.headers, body)
            except Refusal as refusal:
                code, answer = refusal.code, refusal.body
            # Who has gone, for instance because somebody stopped, needs no answer.
            try:
                if isinstance(answer, dict):
                    with server.lock:
                        text = json.dumps(answer)
                    self.whole(code, text.encode())
                else:
                    self.stream(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def whole(self, code, body):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for said in server.warned.all:
                quoted = said.replace("\\", "\\\\").replace('"', '\\"')
                self.send_header("Warning", f'299 - "{quoted}"')
            self.end_headers()
            self.wfile.write(body)

        def stream(self, parts):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in parts:
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    return Handler
