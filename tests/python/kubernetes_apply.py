"""Server-side apply, as the stand-in for an API server does it: each field has an owner, and nobody takes it unasked.

https://kubernetes.io/docs/reference/using-api/server-side-apply/. Lists whose items have a `name` are merged by it, other
lists are one value.
"""

import copy


class Conflict(Exception):
    """Fields belong to somebody else."""

    def __init__(self, fields):
        fields = sorted(("." + ".".join(path), owner) for path, owner in fields.items())
        said = ", ".join(f'conflict with "{owner}": {path}' for path, owner in fields)
        super().__init__(f"Apply failed with {len(fields)} conflict{'s' if len(fields) > 1 else ''}: {said}")
        self.causes = [
            {"reason": "FieldManagerConflict", "message": f'conflict with "{owner}"', "field": path} for path, owner in fields
        ]


def applied(live, wanted, manager, owners, force):
    """What becomes of `live` when `manager` applies `wanted`, and who owns which field then."""
    fields, now = dict(leaves(wanted)), dict(leaves(live or {}))
    others = {
        path: owners[path]
        for path, value in fields.items()
        if owners.get(path, manager) != manager and now.get(path) != value
    }
    if others and not force:
        raise Conflict(others)
    made = copy.deepcopy(live or {})
    # What it does not want any more goes.
    gone = {path for path, owner in owners.items() if owner == manager and path not in fields}
    for path in gone:
        remove(made, path)
    merge(made, copy.deepcopy(wanted))
    owners = {path: owner for path, owner in owners.items() if path not in gone}
    owners.update(dict.fromkeys(fields, manager))
    made["metadata"]["managedFields"] = [
        {"manager": one, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {}} for one in sorted(set(owners.values()))
    ]
    return made, owners


def named(value):
    """A list by the names of its items; nothing where they have none."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        return {one["name"]: one for one in value}
    return None


def leaves(value, path=()):
    """The paths of all single values, with the values."""
    within = value if isinstance(value, dict) else named(value)
    if not within:
        yield path, value
        return
    for name, one in within.items():
        yield from leaves(one, (*path, name))


def merge(into, wanted):
    """Puts what is wanted into an object."""
    for name, value in wanted.items():
        old = into.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            merge(old, value)
        elif named(value) and named(old):
            items = named(old)
            merge(items, named(value))
            into[name] = list(items.values())
        else:
            into[name] = value


def remove(within, path):
    """Takes the field at `path` out."""
    for name in path[:-1]:
        within = (within if isinstance(within, dict) else named(within) or {}).get(name)
        if within is None:
            return
    if isinstance(within, dict):
        within.pop(path[-1], None)
