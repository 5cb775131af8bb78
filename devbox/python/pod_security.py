"""The Pod Security Standard `restricted`, from the page of that name in the documentation of Kubernetes.

It includes `baseline`. Controls for Windows are left out, but for host processes.
"""

from pod_templates import containers

SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SAFE_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SAFE_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SECCOMP = ("RuntimeDefault", "Localhost")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def restricted(spec):
    """What of the pod `spec` the standard does not allow, as pairs of a field and a message."""
    context = spec.get("securityContext") or {}
    yield from of_pod(spec, context)
    for where, container in containers(spec):
        own = container.get("securityContext") or {}
        yield from of_container(where, container, own)
        yield from of_both(f"{where}.securityContext", own)
        if not own.get("runAsNonRoot", context.get("runAsNonRoot")):
            yield f"{where}.securityContext.runAsNonRoot", "must be true, here or in the pod"
        if (own.get("seccompProfile") or context.get("seccompProfile") or {}).get("type") not in SECCOMP:
            yield (
                f"{where}.securityContext.seccompProfile.type",
                "must be RuntimeDefault or Localhost, here or in the pod",
            )


def of_pod(spec, context):
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name, "must not be true"
    for number, volume in enumerate(spec.get("volumes") or []):
        for kind in sorted(set(volume) - {"name"} - SAFE_VOLUMES):
            yield f"volumes.{number}", f"a volume of the kind {kind}"
    for sysctl in context.get("sysctls") or []:
        if sysctl.get("name") not in SAFE_SYSCTLS:
            yield "securityContext.sysctls", f"`{sysctl.get('name')}` is not among the safe ones"
    yield from of_both("securityContext", context)


def of_container(where, container, own):
    if own.get("privileged"):
        yield f"{where}.securityContext.privileged", "must not be true"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{where}.securityContext.allowPrivilegeEscalation", "must be false"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield f"{where}.securityContext.capabilities.drop", "must have ALL"
    for name in capabilities.get("add") or []:
        if name != "NET_BIND_SERVICE":
            yield f"{where}.securityContext.capabilities.add", f"{name}; only NET_BIND_SERVICE may be added"
    if own.get("procMount", "Default") != "Default":
        yield f"{where}.securityContext.procMount", "must be Default"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield f"{where}.ports", "a port of the node"
    actions = [container.get(probe) for probe in PROBES] + list((container.get("lifecycle") or {}).values())
    for action in filter(None, actions):
        if any((action.get(kind) or {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield where, "a probe or hook that asks another host"


def of_both(where, context):
    """What holds for the security contexts of pods and of containers."""
    if context.get("runAsNonRoot") is False:
        yield f"{where}.runAsNonRoot", "must not be false"
    if context.get("runAsUser") == 0:
        yield f"{where}.runAsUser", "must not be 0"
    if (context.get("seccompProfile") or {}).get("type", SECCOMP[0]) not in SECCOMP:
        yield f"{where}.seccompProfile.type", "must be RuntimeDefault or Localhost"
    if (context.get("appArmorProfile") or {}).get("type", SECCOMP[0]) not in SECCOMP:
        yield f"{where}.appArmorProfile.type", "must be RuntimeDefault or Localhost"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SAFE_SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{where}.seLinuxOptions", "a user, a role, or a type that is not for containers"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{where}.windowsOptions.hostProcess", "must not be true"
