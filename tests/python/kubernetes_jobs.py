"""Jobs of the stand-in for a cluster: their pods appear, find a machine or wait for one, and their commands really run.

A container is a process of this machine. What it would mount is a folder here, whose path takes the place of the mount
path wherever that stands in its command, its arguments and its variables. Its environment is that of the "image".
"""

import os
import random
import re
import signal
import string
import subprocess
import threading
from datetime import datetime, timezone
from pathlib import Path

from kubernetes_admission import admit
from kubernetes_kinds import Refusal

# A pod that is ended has this long to write what it has.
GRACE_S = 30
LETTERS = string.ascii_lowercase + string.digits


def now(fraction=False):
    """The time as Kubernetes writes it; logs have it to the nanosecond."""
    time = datetime.now(timezone.utc)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f000Z" if fraction else "%Y-%m-%dT%H:%M:%SZ")


class Log:
    """What a container writes; it can be read while it grows."""

    def __init__(self):
        self.lines, self.is_over, self.grown = [], False, threading.Condition()

    def add(self, line):
        with self.grown:
            self.lines.append((now(fraction=True), line))
            self.grown.notify_all()

    def end(self):
        with self.grown:
            self.is_over = True
            self.grown.notify_all()

    def read(self, asked):
        """The lines as the kubelet hands them out, as bytes; with `follow` until there are no more."""
        # A moment to the second: what was written within it comes again.
        since = asked.get("sinceTime", "")[:19]
        left = int(asked.get("limitBytes", 1 << 40))
        at = 0
        while left > 0:
            with self.grown:
                if asked.get("follow") == "true":
                    self.grown.wait_for(lambda at=at: len(self.lines) > at or self.is_over)
                fresh = self.lines[at:]
            if not fresh:
                return
            at += len(fresh)
            for time, line in fresh:
                if time[:19] >= since:
                    text = f"{time} " * (asked.get("timestamps") == "true") + line
                    part = text.encode()[:left]
                    left -= len(part)
                    if part:
                        yield part


class Runner:
    """Has the Jobs of `server` run; files are kept in `folder`, and `image` is what an image has as its environment."""

    def __init__(self, server, folder, image=None):
        self.server, self.folder = server, Path(folder)
        self.image = {**os.environ} if image is None else image
        self.logs, self.processes, self.threads = {}, {}, []
        self.changed = threading.Condition(server.lock)
        self.is_ended = False

    def end(self):
        """Ends all that runs."""
        with self.changed:
            self.is_ended = True
            self.look()
            running = list(self.processes)
        for uid in running:
            self.kill(uid)
        for thread in self.threads:
            thread.join()

    def look(self):
        """Has pods that wait look again; who calls it holds the lock."""
        self.changed.notify_all()

    def kill(self, uid):
        """Ends the pod with that uid, if it runs: it has time to write what it has."""
        process = self.processes.get(uid)
        if process:
            process.send_signal(signal.SIGTERM)
            last = threading.Timer(GRACE_S, kill_group, (process,))
            last.daemon = True
            last.start()

    def log(self, uid):
        """The log of the pod with that uid; nothing before it has begun."""
        return self.logs.get(uid)

    def begin(self, job):
        """Makes the first pod of a new Job, unless the namespace will not have it: then an event says why."""
        meta, spec = job["metadata"], job["spec"]["template"]["spec"]
        try:
            admit(self.server.objects["namespaces"]["", meta["namespace"]], f"{meta['name']}-", spec)
        except Refusal as refusal:
            about = {"kind": "Job", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
            said = {"type": "Warning", "reason": "FailedCreate", "message": f"Error creating: {refusal}"}
            where = {"namespace": meta["namespace"], "name": f"{meta['name']}.event"}
            self.server.put("events", {"metadata": where, "involvedObject": about, **said})
            return
        job["status"] = {"active": 1, "ready": 0, "startTime": now(), "uncountedTerminatedPods": {}}
        pod = self.pod_of(job)
        thread = threading.Thread(target=self.run, args=(job, pod))
        self.threads.append(thread)
        thread.start()

    def pod_of(self, job):
        """A pod of the Job, as its template has it."""
        meta, template = job["metadata"], job["spec"]["template"]
        name = f"{meta['name']}-{''.join(random.choices(LETTERS, k=5))}"
        labels = {"batch.kubernetes.io/job-name": meta["name"], "job-name": meta["name"]}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        pod = {
            "metadata": {
                "namespace": meta["namespace"],
                "name": name,
                "labels": {**template.get("metadata", {}).get("labels", {}), **labels},
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        return self.server.put("pods", pod)

    # How a Job goes.

    def run(self, job, pod):
        """Runs the pods of a Job, one after the other as long as they fail and may."""
        spec, tries = job["spec"], 0
        while True:
            code = self.run_pod(pod, spec.get("activeDeadlineSeconds"))
            if code is None:
                return
            with self.changed:
                if not self.is_there("jobs", job):
                    return
                tries += 1
                if code == "late":
                    self.server.drop("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
                    self.fail(job, "DeadlineExceeded", "Job was active longer than specified deadline")
                    return
                if code == 0:
                    job["status"] = {"succeeded": 1, "completionTime": now(), "conditions": conditions(
                        ("SuccessCriteriaMet", "Complete"), "CompletionsReached", "Reached expected number of succeeded pods")}
                    return
                if tries > spec.get("backoffLimit", 6):
                    self.fail(job, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
                    return
                pod = self.pod_of(job)

    def fail(self, job, reason, message):
        job["status"] = {"failed": 1, "conditions": conditions(("FailureTarget", "Failed"), reason, message)}

    def is_there(self, plural, one):
        meta = one["metadata"]
        found = self.server.objects[plural].get((meta["namespace"], meta["name"]))
        return not self.is_ended and found is not None and found["metadata"]["uid"] == meta["uid"]

    def run_pod(self, pod, deadline):
        """Runs a pod; its exit code, `late` where it was too slow, nothing where it was taken away."""
        uid, container = pod["metadata"]["uid"], pod["spec"]["containers"][0]
        with self.changed:
            # As a scheduler and a kubelet do it: a machine, then what is to be mounted.
            self.wait_for(pod, lambda: self.place(pod))
            self.wait_for(pod, lambda: self.mounts(pod) is not None)
            if not self.is_there("pods", pod):
                return None
            mounts = self.mounts(pod)
            log = self.logs[uid] = Log()
            process = self.processes[uid] = self.start(pod, container, mounts)
            pod["status"] = {"phase": "Running", "startTime": now(), "conditions": [{"type": "Ready", "status": "True"}],
                             "containerStatuses": [state(container, running={"startedAt": now()})]}
        reader = threading.Thread(target=follow, args=(process, log))
        reader.start()
        is_late = False
        try:
            process.wait(deadline)
        except subprocess.TimeoutExpired:
            is_late = True
            self.kill(uid)
            process.wait()
        # What it has started may go on, and must not keep the log open.
        kill_group(process)
        reader.join()
        log.end()
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        with self.changed:
            self.processes.pop(uid)
            self.look()
            ended = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": now()}
            pod["status"].update(phase="Failed" if code else "Succeeded", conditions=[],
                                 containerStatuses=[state(container, terminated=ended)])
        return "late" if is_late else code

    def wait_for(self, pod, found):
        """Waits until `found`, or the pod is taken away."""
        self.changed.wait_for(lambda: not self.is_there("pods", pod) or found())

    def place(self, pod):
        """Puts the pod on a machine that has the GPUs which it asks for; whether there is one."""
        wants = gpus(pod)
        for node in self.server.all("nodes"):
            name = node["metadata"]["name"]
            there = [one for one in self.server.all("pods") if one["spec"].get("nodeName") == name]
            taken = sum(gpus(one) for one in there if one["status"]["phase"] in ("Pending", "Running"))
            if wants <= int(node["status"]["allocatable"].get("nvidia.com/gpu", "0")) - taken or not wants:
                pod["spec"] = {**pod["spec"], "nodeName": name}
                return True
        nodes = len(self.server.all("nodes"))
        why = (
            f"0/{nodes} nodes are available: {nodes} Insufficient nvidia.com/gpu. no new claims to deallocate, "
            f"preemption: 0/{nodes} nodes are available: {nodes} No preemption victims found for incoming pod."
        )
        pod["status"] = {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}]}
        return False

    def mounts(self, pod):
        """What is mounted: the folder here for each path; nothing as long as something is missing."""
        namespace, own = pod["metadata"]["namespace"], self.folder / pod["metadata"]["uid"]
        pod["status"] = {"phase": "Pending", "containerStatuses": [
            state(pod["spec"]["containers"][0], waiting={"reason": "ContainerCreating"})]}
        folders = {}
        for volume in pod["spec"].get("volumes", []):
            folder = folders[volume["name"]] = own / volume["name"]
            if "configMap" in volume:
                found = self.server.objects["configmaps"].get((namespace, volume["configMap"]["name"]))
                if found is None:
                    return None
                folder.mkdir(parents=True, exist_ok=True)
                for name, text in found["data"].items():
                    (folder / name).write_text(text)
            elif "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                if (namespace, claim) not in self.server.objects["persistentvolumeclaims"]:
                    return None
                folders[volume["name"]] = self.folder / "claims" / claim
            folders[volume["name"]].mkdir(parents=True, exist_ok=True)
        mounts = pod["spec"]["containers"][0].get("volumeMounts", [])
        # Memory that processes share is there on every machine.
        return {one["mountPath"]: str(folders[one["name"]]) for one in mounts if one["mountPath"] != "/dev/shm"}

    def start(self, pod, container, mounts):
        """The process of a container."""
        paths = re.compile("|".join(sorted(map(re.escape, mounts), key=len, reverse=True)) or "(?!)")

        def here(text):
            return paths.sub(lambda found: mounts[found[0]], text)

        env = {}
        for one in container.get("env", []):
            field = one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
            env[one["name"]] = pod["metadata"][field.removeprefix("metadata.")] if field else expand(one.get("value", ""), env)
        words = [here(expand(word, env)) for word in [*container["command"], *container.get("args", [])]]
        return subprocess.Popen(
            words,
            cwd=here(container.get("workingDir", "/tmp")),
            env={**self.image, **{name: here(value) for name, value in env.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill_group(process):
    """Ends all that is left of a pod."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def follow(process, log):
    """Keeps what a container writes, with the time of each line."""
    for line in process.stdout:
        log.add(line.decode(errors="replace"))


def expand(text, env):
    """`$(NAME)` as Kubernetes expands it; `$$` is a dollar."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda found: "$" if found[0] == "$$" else env.get(found[1], found[0]), text)


def gpus(pod):
    """How many GPUs a pod asks for."""
    limits = (one.get("resources", {}).get("limits", {}) for one in pod["spec"]["containers"])
    return sum(int(one.get("nvidia.com/gpu", 0)) for one in limits)


def state(container, **state):
    """The state of a container, as a kubelet tells it."""
    return {"name": container["name"], "image": container["image"], "imageID": "", "ready": "running" in state,
            "restartCount": 0, "state": state, "lastState": {}}


def conditions(kinds, reason, message):
    """Conditions of a Job that has ended."""
    return [{"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now()} for kind in kinds]
