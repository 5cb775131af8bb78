"""The kinds that the stand-in for an API server has, where they are, and how it words lists and refusals."""

import re


class Kind:
    """A kind of objects, and where it is served."""

    def __init__(self, group, version, name, plural, namespaced=True):
        self.group, self.version, self.name, self.plural, self.namespaced = group, version, name, plural, namespaced

    @property
    def api(self):
        """What stands as `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self):
        """Where paths begin."""
        return f"/apis/{self.api}" if self.group else f"/api/{self.version}"

    @property
    def full(self):
        """As refusals name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


KINDS = [
    Kind("", "v1", "Node", "nodes", namespaced=False),
    Kind("", "v1", "Namespace", "namespaces", namespaced=False),
    Kind("", "v1", "Pod", "pods"),
    Kind("", "v1", "Event", "events"),
    Kind("", "v1", "Service", "services"),
    Kind("", "v1", "ConfigMap", "configmaps"),
    Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("batch", "v1", "Job", "jobs"),
    Kind("kubeflow.org", "v1", "Notebook", "notebooks"),
]


class Refusal(Exception):
    """What the server answers in place of what was asked for: an object of kind `Status`."""

    def __init__(self, code, reason, message, **details):
        super().__init__(message)
        self.code = code
        self.body = {
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        if details:
            self.body["details"] = details


def kind_of(plural):
    """The kind with that plural."""
    return next(kind for kind in KINDS if kind.plural == plural)


def place_of(path):
    """The kind, the namespace, the name and the part of an object that `path` leads to."""
    found = re.fullmatch(r"(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+)(?:/(log))?)?", path)
    kinds = [kind for kind in KINDS if found and (kind.base, kind.plural) == (found[1], found[3])]
    if not kinds:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    return kinds[0], found[2] or "", found[4], found[5]


def discovery(path):
    """What says which kinds there are."""
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.1", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}
    if path == "/apis":
        versions = {kind.group: {"groupVersion": kind.api, "version": kind.version} for kind in KINDS if kind.group}
        groups = [{"name": name, "versions": [one], "preferredVersion": one} for name, one in versions.items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    here = [kind for kind in KINDS if kind.base == path]
    if not here:
        return None
    verbs = ["create", "delete", "get", "list", "patch"]
    resources = [
        {"name": kind.plural, "singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name, "verbs": verbs}
        for kind in here
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": here[0].api, "resources": resources}


def page(kind, found, asked):
    """A part of a list, and how to get the next one."""
    for name, value in pairs(asked.get("labelSelector")):
        found = [one for one in found if one["metadata"].get("labels", {}).get(name) == value]
    for path, value in pairs(asked.get("fieldSelector")):
        found = [one for one in found if at(one, path.split(".")) == value]
    # Fewer than anybody asks for, so that there is more than one page.
    first, size = int(asked.get("continue", "0")), min(int(asked.get("limit", "500")), 20)
    metadata = {"resourceVersion": "1"}
    if first + size < len(found):
        metadata["continue"] = str(first + size)
    return {"apiVersion": kind.api, "kind": f"{kind.name}List", "metadata": metadata, "items": found[first : first + size]}


def pairs(selector):
    """The names and values of a selector."""
    return [one.split("=", 1) for one in (selector or "").split(",") if one]


def at(value, path):
    """What lies at `path`."""
    for name in path:
        value = value.get(name, {})
    return value
