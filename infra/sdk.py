"""Cut the SDK's descriptions of AWS down to what the function calls: making a client is mostly reading them.

The cuts take the place of the originals in the zip and nowhere else; the SDK's code stays as it is. They do
not lie in a folder that ``AWS_DATA_PATH`` names: botocore goes by a service's endpoint rules only where its
``endpoints.json`` is the one it was installed with (its ``args.py``: ``resolver_uses_builtin_data``), and by
older ones otherwise. An operator's own ``AWS_DATA_PATH`` still comes first.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OPERATIONS: Mapping[str, frozenset[str]] = {
    "secretsmanager": frozenset({"GetSecretValue"}),
    "sqs": frozenset({"SendMessageBatch"}),
    "ssm": frozenset({"GetParameters", "GetParametersByPath", "PutParameter"}),
}
"""What the function calls."""

UNREAD: Mapping[str, frozenset[str]] = {
    "Parameter": frozenset({"ARN", "DataType", "LastModifiedDate", "Selector", "SourceResult"}),
}
"""Members of answers that the function never looks at: a twelfth of a check's CPU goes into them."""

UNCUT = frozenset({"sts"})
"""What the SDK itself calls, for credentials: rarely, and by operations of its own choice."""

SERVICES = UNCUT | OPERATIONS.keys()

MODEL = "service-2.json"
RULES = ("endpoint-rule-set-1.json.gz", "service-2.sdk-extras.json")
"""Of the other files about a service, those that make a client. The rest are examples, pages and waiters."""


def cut(data: Path) -> None:
    """Cut what lies in botocore's folder ``data``, in place."""
    for folder in [path for path in data.iterdir() if path.is_dir()]:
        if folder.name not in SERVICES:
            shutil.rmtree(folder)
    for service, operations in OPERATIONS.items():
        for version in (data / service).iterdir():
            _cut_service(version, operations)
    endpoints = data / "endpoints.json"
    _write(endpoints, cut_endpoints(json.loads(endpoints.read_bytes())))


def _cut_service(version: Path, operations: Iterable[str]) -> None:
    """Cut a version of a service's API."""
    whole = version / f"{MODEL}.gz"
    _write(version / MODEL, cut_model(json.loads(gzip.decompress(whole.read_bytes())), operations))
    for path in version.iterdir():
        if path.name not in (MODEL, *RULES):
            path.unlink()


def cut_model(model: Mapping[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """Cut a service's model down to some of its operations and what these speak of, without explanations.

    Raises KeyError for an operation that the service does not have.
    """
    kept = {name: model["operations"][name] for name in sorted(operations)}
    shapes: dict[str, Any] = {}
    ahead = list(_shapes_in(kept))
    while ahead:
        name = ahead.pop()
        if name not in shapes:
            shapes[name] = _read(name, model["shapes"][name])
            ahead += _shapes_in(shapes[name])
    cut: dict[str, Any] = _unexplained({**model, "operations": kept, "shapes": dict(sorted(shapes.items()))})
    return cut


def _read(name: str, shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """A shape without what nobody looks at."""
    if name not in UNREAD:
        return shape
    return {**shape, "members": {k: v for k, v in shape["members"].items() if k not in UNREAD[name]}}


def _shapes_in(node: Any) -> Iterable[str]:
    """The names of shapes that a part of a model refers to."""
    if isinstance(node, list):
        for each in node:
            yield from _shapes_in(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shapes_in(value)


def _unexplained(node: Any) -> Any:
    """Without texts for readers. A member may be called ``documentation``; then it is no text."""
    if isinstance(node, list):
        return [_unexplained(each) for each in node]
    if isinstance(node, dict):
        return {
            key: _unexplained(value)
            for key, value in node.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    return node


def cut_endpoints(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Cut the list of endpoints down to the services: every partition and Region stays."""
    return {
        **endpoints,
        "partitions": [
            {**partition, "services": {k: v for k, v in partition["services"].items() if k in SERVICES}}
            for partition in endpoints["partitions"]
        ],
    }


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, separators=(",", ":")))


if __name__ == "__main__":
    cut(Path(sys.argv[1]))
