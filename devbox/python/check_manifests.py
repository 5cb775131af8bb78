"""Checks Kubernetes manifests without a cluster, and says what an API server, or a pod later on, would object to.

    python check_manifests.py [FOLDER|FILE|-]… [--kubernetes VERSION]… [--json]
    python check_manifests.py --pod FOLDER

A folder is a kustomization, which kubectl or kustomize renders. Without a name, all overlays and parts of this repository
are checked. Standard output has one line for each finding, or JSON; the exit status is 1 when there are any, 2 when
something cannot be read. `--pod` writes the first pod of a folder as a Pod, for `podman play kube`.

Built-in kinds and all pod templates are held against the strict schemas of Kubernetes that the package kubernetes-validate
carries, custom kinds against their definitions in `devbox/manifests/crds`. Rules in CEL are not evaluated.
"""

import argparse
import functools
import gzip
import importlib.resources
import json
import re
import shutil
import subprocess
import sys
from collections import Counter, namedtuple
from pathlib import Path

import jsonschema
import pod_security
import referencing
import yaml
from pod_templates import containers_of
from pod_templates import of as pods_of

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
# The oldest and the newest release that manifests are for: a field must be known to both.
RELEASES = ("1.33", "1.37")
LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/part-of")
# The one kind whose labels are another's: Kubeflow wants a value of its own there.
UNLABELLED = {"Namespace"}
SECRETIVE = re.compile(r"(KEY|PASSWORD|TOKEN|SECRET)(_ID)?$")
# Built-in kinds that stand in no namespace; those of custom kinds say so in their definitions.
CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "PersistentVolume", "StorageClass", "PriorityClass"}

# Accounts that a namespace has, or a profile of Kubeflow's.
OF_NAMESPACES = {("ServiceAccount", "default"), ("ServiceAccount", "default-editor")}

Finding = namedtuple("Finding", "object field message")


class Unreadable(Exception):
    """Something that is to be checked cannot be read or rendered."""


def renderer():
    """The command that renders a kustomization: of this environment, or of the system."""
    beside = str(Path(sys.executable).parent)
    for program, command in (("kubectl", ["kustomize"]), ("kustomize", ["build"])):
        found = shutil.which(program, path=beside) or shutil.which(program)
        if found:
            return [found, *command]
    raise Unreadable("neither kubectl nor kustomize is here: `pip install -r devbox/python/cluster.txt` brings kubectl")


@functools.cache
def render(folder):
    """The objects of the kustomization `folder`, as YAML text."""
    done = subprocess.run([*renderer(), str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Unreadable(f"`{folder}` cannot be rendered: {done.stderr.strip()}")
    return done.stdout


def read(place):
    """The objects of a kustomization, of a file, or of standard input (`-`)."""
    if str(place) == "-":
        text = sys.stdin.read()
    elif Path(place).is_dir():
        text = render(Path(place).resolve())
    elif Path(place).is_file():
        text = Path(place).read_text(encoding="utf-8")
    else:
        raise Unreadable(f"`{place}` is neither a folder nor a file")
    try:
        objects = [item for item in yaml.safe_load_all(text) if item]
    except yaml.YAMLError as error:
        raise Unreadable(f"`{place}` is no YAML: {error}") from error
    for item in objects:
        if not isinstance(item, dict) or not item.get("kind") or not item.get("apiVersion"):
            raise Unreadable(f"`{place}` has something without `apiVersion` and `kind`")
    return objects


def name_of(item):
    """How an object is called in findings."""
    metadata = item.get("metadata") or {}
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{item['kind']} {where}{metadata.get('name', '?')}"


# Schemas.


@functools.cache
def packaged(release, file):
    """A schema of the package kubernetes-validate, or None."""
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    if not (folder / f"v{release}.0-local-strict").is_dir():
        raise Unreadable(f"there are no schemas of Kubernetes {release}")
    path = folder / f"v{release}.0-local-strict" / file
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


@functools.cache
def builtin(release, kind, api_version):
    """What validates a built-in kind, or None when Kubernetes has no such kind."""
    group, _, version = api_version.rpartition("/")
    prefix = f"{group.split('.')[0]}-" if group else ""
    schema = packaged(release, f"{kind.lower()}-{prefix}{version}.json")
    if schema is None or group.endswith(tuple(custom_groups())):
        return None
    definitions = referencing.Resource.from_contents(packaged(release, "_definitions.json"))
    registry = definitions @ (referencing.Resource.from_contents(schema) @ referencing.Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


def close(schema, is_root=False):
    """The schema with every object closed, as an API server prunes what a definition does not name."""
    if not isinstance(schema, dict):
        return schema
    closed = {key: value for key, value in schema.items() if key != "format"}
    if "properties" in schema:
        closed["properties"] = {name: close(value) for name, value in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        closed["items"] = close(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = close(schema["additionalProperties"])
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not is_open:
        closed["additionalProperties"] = False
    if is_root:
        # What Kubernetes itself checks, whatever a definition says.
        closed["properties"]["metadata"] = {"type": "object"}
        closed["properties"].update(apiVersion={"type": "string"}, kind={"type": "string"})
    return closed


@functools.cache
def definitions():
    """What validates custom kinds, and whether they stand in a namespace, by group, version and kind."""
    found = {}
    for path in sorted((MANIFESTS / "crds").glob("*.json.gz")):
        spec = json.loads(gzip.decompress(path.read_bytes()))["spec"]
        for version in spec["versions"]:
            schema = close(version["schema"]["openAPIV3Schema"], is_root=True)
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            found[key] = (jsonschema.Draft202012Validator(schema), spec["scope"] == "Namespaced")
    return found


def custom_groups():
    return {api_version.split("/")[0] for api_version, _ in definitions()}


def complaints(validator, item, prefix=()):
    """What a schema objects to, as pairs of a field and a message."""
    for error in sorted(validator.iter_errors(item), key=lambda error: list(map(str, error.absolute_path))):
        # In a choice the nearest alternative says more than "not valid under any of the given schemas".
        nearest = jsonschema.exceptions.best_match([error]) or error
        path = [*prefix, *nearest.absolute_path]
        message = nearest.message if len(nearest.message) < 300 else f"{nearest.message[:300]}…"
        yield ".".join(map(str, path)) or "(top)", message


def by_schema(item, releases):
    """Findings of the schemas: of the object, and of the pods in it."""
    key = (item["apiVersion"], item["kind"])
    known = definitions().get(key)
    if known:
        yield from complaints(known[0], item)
    for release in releases:
        validator = None if known else builtin(release, item["kind"], item["apiVersion"])
        if validator:
            yield from complaints(validator, item)
        elif not known:
            yield "kind", f"neither Kubernetes {release} nor `devbox/manifests/crds` knows {key[0]} {key[1]}"
            return
        if known:
            for pod in pods_of(item):
                bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod.spec}
                for field, message in complaints(builtin(release, "Pod", "v1"), bare):
                    yield field.replace("spec", pod.field, 1), message


# What schemas do not say.


def habits(item):
    """Labels, images, secrets, requests: what this repository wants of every object."""
    labels = (item.get("metadata") or {}).get("labels") or {}
    missing = [label for label in LABELS if label not in labels]
    if missing and item["kind"] not in UNLABELLED:
        yield "metadata.labels", f"without {', '.join(missing)}"
    if item["kind"] == "Secret" and (item.get("data") or item.get("stringData")):
        yield "data", "a Secret with values: nobody may find them in a repository; list it in `provided.yaml`"
    for pod in pods_of(item):
        for where, container in containers_of(pod):
            yield from of_container(item, where, container)


def in_namespace(item):
    """Whether an object says where it stands, as an overlay's objects must: else it goes to wherever one happens to be."""
    known = definitions().get((item["apiVersion"], item["kind"]))
    namespaced = known[1] if known else item["kind"] not in CLUSTER_WIDE
    namespace = (item.get("metadata") or {}).get("namespace")
    if namespaced and not namespace:
        yield "metadata.namespace", "is missing: the object would go to whichever namespace is the usual one"
    if not namespaced and namespace:
        yield "metadata.namespace", f"{item['kind']} stands in no namespace"


def of_container(item, where, container):
    image = container.get("image", "")
    tag = image.split("@")[0].rpartition("/")[2].partition(":")[2]
    if image and tag in ("", "latest") and "@sha256:" not in image:
        yield f"{where}.image", f"`{image}` is not pinned: name a version"
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    for name in ("cpu", "memory"):
        if name not in (resources.get("requests") or {}):
            yield f"{where}.resources.requests", f"without {name}: the scheduler takes it for nothing"
    if "memory" not in (resources.get("limits") or {}):
        yield f"{where}.resources.limits", "without memory: it could take all of the node's"
    has_gpu = any(name.endswith("/gpu") for name in asked)
    for variable in container.get("env") or []:
        name = variable.get("name", "")
        if name == "NB_PREFIX" and item["kind"] == "Notebook":
            yield f"{where}.env", "NB_PREFIX is set by Kubeflow; a value of ours would stay, and be wrong"
        if name == "NVIDIA_VISIBLE_DEVICES" and variable.get("value") not in ("none", "void") and not has_gpu:
            yield f"{where}.env", "uses a GPU that it does not ask for: `limits: {nvidia.com/gpu: 1}`"
        if SECRETIVE.search(name) and variable.get("value"):
            yield f"{where}.env", f"`{name}` has a value: take it from a Secret"


def references(objects, beside, provided):
    """Names that lead nowhere: of Secrets, their keys, ConfigMaps, claims, accounts, ports and selected pods."""
    everything = [*objects, *beside]
    there = {(item["kind"], item["metadata"]["name"]) for item in everything}
    for item in everything:
        for template in (
            (item.get("spec") or {}).get("volumeClaimTemplates") or [] if item["kind"] == "StatefulSet" else []
        ):
            there.add(("PersistentVolumeClaim", template["metadata"]["name"]))
    keys = {(item["kind"], item["name"]): set(item.get("keys") or []) for item in provided}
    pods = [pod for item in everything for pod in pods_of(item)]
    for item in objects:
        for pod in pods_of(item):
            for field, kind, name, key in pod.references():
                if (kind, name) in keys:
                    if key and key not in keys[(kind, name)]:
                        known = sorted(keys[(kind, name)])
                        yield item, field, f"{kind} `{name}` has no key `{key}`: `provided.yaml` lists {known}"
                elif (kind, name) not in there and (kind, name) not in OF_NAMESPACES:
                    yield item, field, f"{kind} `{name}` is not there, nor in `provided.yaml`"
        if item["kind"] == "Service" and (item.get("spec") or {}).get("selector"):
            yield from ((item, *rest) for rest in of_service(item, pods))
        if item["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            for ref in [item.get("roleRef") or {}, *(item.get("subjects") or [])]:
                if (ref.get("kind"), ref.get("name")) not in there and ref.get("kind") not in ("User", "Group"):
                    yield item, "roleRef/subjects", f"{ref.get('kind')} `{ref.get('name')}` is not there"


def of_service(service, pods):
    wanted = service["spec"]["selector"].items()
    chosen = [pod for pod in pods if wanted <= pod.labels.items()]
    if not chosen:
        yield "spec.selector", f"chooses no pod: {dict(wanted)}"
        return
    ports = [port for pod in chosen for _, c in containers_of(pod) for port in c.get("ports") or []]
    named = {port.get("name") for port in ports} | {port.get("containerPort") for port in ports}
    for port in service["spec"].get("ports") or []:
        target = port.get("targetPort", port.get("port"))
        if named and target not in named:
            yield "spec.ports", f"no chosen pod has a port `{target}`"


def findings(objects, beside=(), releases=RELEASES, provided=None, is_part=False):
    """Everything that is wrong with `objects`; `beside` are objects that they may name; a part needs neither."""
    if provided is None:
        provided = yaml.safe_load((MANIFESTS / "provided.yaml").read_text(encoding="utf-8"))
    found = []
    seen = Counter((i["apiVersion"], i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]) for i in objects)
    for (_, kind, _, name), n in seen.items():
        if n > 1:
            found.append(Finding(f"{kind} {name}", "metadata.name", f"is there {n} times"))
    for item in objects:
        for field, message in [*by_schema(item, releases), *habits(item)]:
            found.append(Finding(name_of(item), field, message))
        for pod in pods_of(item):
            for field, message in pod_security.restricted(pod.spec):
                found.append(Finding(name_of(item), f"{pod.field}.{field}", f"pod security `restricted`: {message}"))
    if not is_part:
        found += [Finding(name_of(item), *one) for item in objects for one in in_namespace(item)]
        found += [
            Finding(name_of(item), field, message) for item, field, message in references(objects, beside, provided)
        ]
    return list(dict.fromkeys(found))


def check(place, releases=RELEASES):
    """Findings of one folder or file; the step of an overlay may name what other steps of it have."""
    objects = read(place)
    path = Path(place).resolve()
    whole = path.parent if path.is_dir() and path.parent.parent == MANIFESTS / "overlays" else None
    is_part = MANIFESTS / "base" in path.parents
    return findings(objects, read(whole) if whole else (), releases, is_part=is_part)


def everything():
    """All overlays, their steps, and all parts, in order."""
    for pattern in ("overlays/*/kustomization.yaml", "overlays/*/*/kustomization.yaml", "base/*/kustomization.yaml"):
        yield from (path.parent for path in sorted(MANIFESTS.glob(pattern)))


def pod(objects, volumes=None):
    """The first pod of `objects` as a Pod that podman can play: by itself, without what only a cluster has.

    `volumes` gives folders of this machine to volumes by their names; claims without one become empty folders.
    """
    first = next((found for item in objects for found in pods_of(item)), None)
    if first is None:
        raise Unreadable("there is no pod in it")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": first.name, "labels": first.labels},
        "spec": first.alone(volumes or {}),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="*", help="kustomizations or files; all of this repository without one")
    parser.add_argument(
        "--kubernetes", action="append", metavar="VERSION", help="release to check against, such as 1.35"
    )
    parser.add_argument("--json", action="store_true", help="write findings as JSON")
    parser.add_argument("--pod", action="store_true", help="write the first pod instead of checking")
    options = parser.parse_args()
    places = options.places or [str(place) for place in everything()]
    try:
        if options.pod:
            yaml.safe_dump(pod(read(places[0])), sys.stdout, sort_keys=False)
            return 0
        found = {place: check(place, tuple(options.kubernetes or RELEASES)) for place in places}
    except Unreadable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        json.dump(
            [{"place": place, **one._asdict()} for place, all_ in found.items() for one in all_], sys.stdout, indent=1
        )
        print()
    else:
        for place, all_ in found.items():
            for one in all_:
                print(f"{place}: {one.object}: {one.field}: {one.message}")
    n_wrong = sum(map(len, found.values()))
    print(f"{len(found)} checked, {n_wrong} finding{'s' if n_wrong != 1 else ''}", file=sys.stderr)
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
