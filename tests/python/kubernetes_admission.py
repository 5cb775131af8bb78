"""Pod security, as the stand-in for an API server has it: what the labels of a namespace refuse, and what they warn of.

https://kubernetes.io/docs/concepts/security/pod-security-admission/. Of the standards there is the one that our manifests are
held to, *restricted*, with what it asks of containers; the words are those of the real server.
"""

from kubernetes_kinds import Refusal

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def violations(spec):
    """What of `restricted` a pod of `spec` does not keep."""
    pod = spec.get("securityContext", {})
    containers = [*spec.get("initContainers", []), *spec.get("containers", [])]

    def breaking(keeps):
        return [one["name"] for one in containers if not keeps(one.get("securityContext", {}))]

    def has(own, *path):
        for at in (own, pod):
            for name in path:
                at = at.get(name, {})
            if at != {}:
                return at
        return None

    rules = [
        ("allowPrivilegeEscalation != false", "", "securityContext.allowPrivilegeEscalation=false",
         lambda own: own.get("allowPrivilegeEscalation") is False),
        ("unrestricted capabilities", "", 'securityContext.capabilities.drop=["ALL"]',
         lambda own: "ALL" in own.get("capabilities", {}).get("drop", [])),
        ("runAsNonRoot != true", "pod or ", "securityContext.runAsNonRoot=true",
         lambda own: has(own, "runAsNonRoot") is True),
        ("seccompProfile", "pod or ", 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
         lambda own: has(own, "seccompProfile", "type") in ("RuntimeDefault", "Localhost")),
    ]
    found = []
    for what, whose, field, keeps in rules:
        names = breaking(keeps)
        if names:
            many = "s" if len(names) > 1 else ""
            quoted = ", ".join(f'"{name}"' for name in names)
            found.append(f"{what} ({whose}container{many} {quoted} must set {field})")
    return found


def broken(namespace, mode, spec):
    """How the label `mode` of a namespace has it that a pod of `spec` breaks its standard; nothing where it keeps it."""
    if namespace["metadata"].get("labels", {}).get(f"pod-security.kubernetes.io/{mode}") != "restricted":
        return None
    found = violations(spec)
    return f'violate PodSecurity "restricted:latest": {", ".join(found)}' if found else None


def template_of(one):
    """The spec of the pods that an object makes; nothing where it makes none."""
    return one.get("spec", {}).get("template", {}).get("spec")


def warning(namespace, one):
    """With what an object is taken whose pods will not be admitted."""
    spec = template_of(one)
    why = spec and broken(namespace, "warn", spec)
    return f"would {why}" if why else None


def admit(namespace, name, spec):
    """Refuses a pod that breaks the standard of its namespace."""
    why = broken(namespace, "enforce", spec)
    if why:
        raise Refusal(403, "Forbidden", f'pods "{name}" is forbidden: {why.replace("violate", "violates", 1)}')
