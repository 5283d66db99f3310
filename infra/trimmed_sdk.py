"""Reduce the SDK's service models to the operations that the function calls.

Reading the models takes most of the time of creating a client. The reduced models replace the originals
only in the zip; the SDK's code is unchanged. A folder in ``AWS_DATA_PATH`` is no alternative: botocore uses
a service's endpoint rules only with the ``endpoints.json`` of its installation (``args.py``:
``resolver_uses_builtin_data``), and older rules otherwise. An operator's ``AWS_DATA_PATH`` still comes first.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OPERATIONS: Mapping[str, frozenset[str]] = {
    "kms": frozenset({"Sign"}),
    "secretsmanager": frozenset({"GetSecretValue"}),
    "sqs": frozenset({"SendMessageBatch"}),
    "ssm": frozenset({"GetParameters", "GetParametersByPath", "PutParameter"}),
}
"""The operations that the function calls, by service."""

UNREAD: Mapping[str, frozenset[str]] = {
    "Parameter": frozenset({"ARN", "DataType", "LastModifiedDate", "Selector", "SourceResult"}),
}
"""Members of responses that the function never reads. Parsing them takes a twelfth of a check's CPU time."""

UNCUT = frozenset({"sts"})
"""The service that the SDK itself calls for credentials, with operations that it chooses."""

SERVICES = UNCUT | OPERATIONS.keys()

MODEL = "service-2.json"
RULES = ("endpoint-rule-set-1.json.gz", "service-2.sdk-extras.json")
"""The other files that a client needs. The rest are examples, pagination and waiters."""


def cut(data: Path) -> None:
    """Reduce the service models in botocore's folder ``data`` in place."""
    for folder in [path for path in data.iterdir() if path.is_dir() and path.name not in SERVICES]:
        shutil.rmtree(folder)
    for service, operations in OPERATIONS.items():
        for version in (data / service).iterdir():
            whole = gzip.decompress((version / f"{MODEL}.gz").read_bytes())
            _write(version / MODEL, cut_model(json.loads(whole), operations))
            for path in version.iterdir():
                if path.name not in (MODEL, *RULES):
                    path.unlink()
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:  # every partition and Region is kept
        partition["services"] = {k: v for k, v in partition["services"].items() if k in SERVICES}
    _write(data / "endpoints.json", endpoints)


def cut_model(model: Mapping[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """Return a service's model with these operations and their shapes, undocumented; raises KeyError."""
    kept = {name: model["operations"][name] for name in sorted(operations)}
    shapes: dict[str, Any] = {}
    pending = list(_shapes_in(kept))
    while pending:
        name = pending.pop()
        if name not in shapes:
            shape = model["shapes"][name]
            if name in UNREAD:
                members = {k: v for k, v in shape["members"].items() if k not in UNREAD[name]}
                shape = {**shape, "members": members}
            shapes[name] = shape
            pending += _shapes_in(shape)
    whole = {**model, "operations": kept, "shapes": dict(sorted(shapes.items()))}
    cut: dict[str, Any] = json.loads(json.dumps(whole), object_hook=_undocumented)
    return cut


def _shapes_in(node: Any) -> Iterable[str]:
    """Yield the names of the shapes that a part of a model refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("shape"), str):
            yield node["shape"]
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        yield from _shapes_in(each)


def _undocumented(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of a model without its documentation. A member of that name is kept."""
    return {k: v for k, v in node.items() if not (k == "documentation" and isinstance(v, str))}


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, separators=(",", ":")))
