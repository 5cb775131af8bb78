"""The pods in Kubernetes objects, also in those of custom kinds."""

import copy


class Pod:
    """A pod of an object: where its PodSpec stands, what it is, and its labels."""

    def __init__(self, name, field, spec, labels):
        self.name = name
        self.field = field
        self.spec = spec
        self.labels = dict(labels or {})

    def references(self):
        """What the pod names: the field, the kind, the name, and the key, if it names one."""
        account = self.spec.get("serviceAccountName")
        if account:
            yield f"{self.field}.serviceAccountName", "ServiceAccount", account, None
        for number, volume in enumerate(self.spec.get("volumes") or []):
            yield from of_volume(f"{self.field}.volumes.{number}", volume)
        for where, container in containers_of(self):
            for number, variable in enumerate(container.get("env") or []):
                source = variable.get("valueFrom") or {}
                for kind, ref in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
                    if ref in source:
                        yield f"{where}.env.{number}", kind, source[ref].get("name"), source[ref].get("key")
            for number, source in enumerate(container.get("envFrom") or []):
                for kind, ref in (("Secret", "secretRef"), ("ConfigMap", "configMapRef")):
                    if ref in source:
                        yield f"{where}.envFrom.{number}", kind, source[ref].get("name"), None

    def alone(self, volumes):
        """The spec for a machine without a cluster: no account, no GPU, no Secrets, claims as folders of `volumes`."""
        spec = copy.deepcopy(self.spec)
        for name in ("serviceAccountName", "automountServiceAccountToken", "affinity", "nodeSelector", "tolerations"):
            spec.pop(name, None)
        for volume in spec.get("volumes") or []:
            if "persistentVolumeClaim" in volume:
                del volume["persistentVolumeClaim"]
                path = volumes.get(volume["name"])
                volume.update({"hostPath": {"path": str(path), "type": "Directory"}} if path else {"emptyDir": {}})
        for _, container in containers(spec):
            container["env"] = [one for one in container.get("env") or [] if "valueFrom" not in one]
            for amounts in (container.get("resources") or {}).values():
                for name in [name for name in amounts if "/" in name]:
                    del amounts[name]
        return spec


def of_volume(where, volume):
    """What a volume names."""
    if "persistentVolumeClaim" in volume:
        yield where, "PersistentVolumeClaim", volume["persistentVolumeClaim"].get("claimName"), None
    if "configMap" in volume:
        yield where, "ConfigMap", volume["configMap"].get("name"), None
    if "secret" in volume:
        yield where, "Secret", volume["secret"].get("secretName"), None
    for source in (volume.get("projected") or {}).get("sources") or []:
        for kind, ref in (("Secret", "secret"), ("ConfigMap", "configMap")):
            if ref in source:
                yield where, kind, source[ref].get("name"), None


def containers(spec):
    """The containers of a PodSpec, with their places in it."""
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for number, container in enumerate(spec.get(group) or []):
            yield f"{group}.{number}", container


def containers_of(pod):
    """The containers of a pod, with their places in the object."""
    for where, container in containers(pod.spec):
        yield f"{pod.field}.{where}", container


def of(item):
    """The pods that the object `item` makes."""
    kind, name, spec = item["kind"], item["metadata"]["name"], item.get("spec") or {}
    labels = item["metadata"].get("labels") or {}
    if kind == "Pod":
        yield Pod(name, "spec", spec, labels)
    elif kind == "CronJob":
        template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
        yield from templated(name, "spec.jobTemplate.spec.template", template)
    elif kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"):
        for pod in templated(name, "spec.template", spec.get("template") or {}):
            claims = spec.get("volumeClaimTemplates") or [] if kind == "StatefulSet" else []
            yield with_claims(pod, claims)
    elif kind == "Notebook":
        # The controller copies the labels of the notebook to its pod.
        yield Pod(name, "spec.template.spec", (spec.get("template") or {}).get("spec") or {}, labels)
    elif kind == "RayCluster":
        yield from of_ray(name, "spec", spec)
    elif kind in ("RayService", "RayJob"):
        field = "rayClusterConfig" if kind == "RayService" else "rayClusterSpec"
        yield from of_ray(name, f"spec.{field}", spec.get(field) or {})
    elif kind == "InferenceService":
        yield from of_kserve(name, spec.get("predictor") or {})
    elif kind == "WorkspaceKind":
        yield from of_workspaces(name, spec.get("podTemplate") or {})


def templated(name, field, template):
    yield Pod(name, f"{field}.spec", template.get("spec") or {}, (template.get("metadata") or {}).get("labels"))


def with_claims(pod, claims):
    """The pod with the volumes that a StatefulSet makes for it."""
    mounted = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
    if mounted:
        pod.spec = {**pod.spec, "volumes": [*(pod.spec.get("volumes") or []), *mounted]}
    return pod


def of_ray(name, field, cluster):
    head = (cluster.get("headGroupSpec") or {}).get("template") or {}
    yield from templated(f"{name}-head", f"{field}.headGroupSpec.template", head)
    for number, group in enumerate(cluster.get("workerGroupSpecs") or []):
        place = f"{field}.workerGroupSpecs.{number}.template"
        yield from templated(f"{name}-{group.get('groupName')}", place, group.get("template") or {})


# What KServe's predictor has beside the fields of a PodSpec (v1beta1 ComponentExtensionSpec and PredictorSpec).
NOT_OF_PODS = {
    "model",
    "labels",
    "annotations",
    "minReplicas",
    "maxReplicas",
    "deploymentStrategy",
    "scaleTarget",
    "scaleMetric",
    "containerConcurrency",
    "timeout",
    "canaryTrafficPercent",
    "logger",
    "batcher",
    "workerSpec",
}


def of_kserve(name, predictor):
    """KServe makes the container of a runtime and of `model`; what `model` says of a container is checked as one."""
    of_models = {"modelFormat", "storageUri", "runtime", "protocolVersion", "storage"}
    model = {key: value for key, value in (predictor.get("model") or {}).items() if key not in of_models}
    spec = {key: value for key, value in predictor.items() if key not in NOT_OF_PODS}
    ports = [{"containerPort": 8080}]
    spec["containers"] = [{"name": "kserve-container", "ports": ports, **model}, *(spec.get("containers") or [])]
    labels = {"serving.kserve.io/inferenceservice": name, **(predictor.get("labels") or {})}
    yield Pod(name, "spec.predictor", spec, labels)


def of_workspaces(name, template):
    """One pod for each choice of resources, with the first image."""
    options = template.get("options") or {}
    images = (options.get("imageConfig") or {}).get("values") or [{}]
    for choice in (options.get("podConfig") or {}).get("values") or []:
        own = choice.get("spec") or {}
        container = {
            "name": "main",
            "image": (images[0].get("spec") or {}).get("image"),
            "env": [one for one in template.get("extraEnv") or [] if one.get("name") != "NB_PREFIX"],
            "resources": own.get("resources"),
            "securityContext": template.get("containerSecurityContext"),
            "volumeMounts": template.get("extraVolumeMounts") or [],
        }
        spec = {
            "serviceAccountName": (template.get("serviceAccount") or {}).get("name"),
            "securityContext": template.get("securityContext"),
            "volumes": template.get("extraVolumes") or [],
            "containers": [{key: value for key, value in container.items() if value is not None}],
        }
        spec.update({key: own[key] for key in ("affinity", "nodeSelector", "tolerations") if own.get(key)})
        yield Pod(
            f"{name}-{choice.get('id')}", "spec.podTemplate", {k: v for k, v in spec.items() if v is not None}, {}
        )
