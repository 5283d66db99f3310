"""MiniStack with one mistake mended, as ``python -m rotator.local.ministack``.

Version 1.5.33 authorizes GetParameters and GetParametersByPath against ``*``, so that a role which
names its parameters is refused. IAM checks every parameter of the call, and the path:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions, iam_evaluator


class _Arns(str):  # noqa: SLOT000 - MiniStack passes it on as the one ARN it expects
    """The first ARN of a call, with all of them in ``every``."""

    every: tuple[str, ...]

    @classmethod
    def of(cls, every: list[str]) -> _Arns:
        arns = cls(every[0])
        arns.every = tuple(every)
        return arns


def mend() -> None:
    """Make MiniStack check every parameter that a call names."""
    extract, enforce = iam_actions.extract_resource_arn, iam_evaluator.enforce

    def extract_every(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any
    ) -> str:
        names = _names(headers.get("x-amz-target", ""), body) if service == "ssm" else []
        if not names:
            return str(extract(service, method, path, headers, body, *rest))
        region, account = rest[-2:]
        return _Arns.of([f"arn:aws:ssm:{region}:{account}:parameter/{name.lstrip('/')}" for name in names])

    def enforce_every(*args: Any, resource_arn: str = "*", **kwargs: Any) -> Any:
        for arn in getattr(resource_arn, "every", (resource_arn,)):
            if denied := enforce(*args, resource_arn=arn, **kwargs):
                return denied
        return None

    iam_actions.extract_resource_arn = extract_every
    iam_evaluator.enforce = enforce_every


def _names(target: str, body: bytes) -> list[str]:
    try:
        request = json.loads(body)
    except ValueError:
        return []
    if target.endswith(".GetParameters"):
        return list(request.get("Names", []))
    if target.endswith(".GetParametersByPath"):
        return [request.get("Path", "/")]
    return []


if __name__ == "__main__":
    from ministack.app import main

    mend()
    main()
