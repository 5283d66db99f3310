"""``python -m rotator.devstack.ministack CODE``: MiniStack with four bugs fixed, and with TLS assumed.

Version 1.5.33 authorizes GetParameters and GetParametersByPath against ``*``, and so denies them to a role
whose policy names its parameters. IAM authorizes every parameter of the call, and the path:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html

It authorizes SendMessageBatch as an action of its own, which IAM does not have: there, SendMessage covers it.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html

It stores a MaximumConcurrency from a stack's parameter as text, and then delivers no messages.

It reads a function's log until it was quiet for 5 ms, and on a busy machine the rest of the log gets lost.

It serves plain http on loopback, but enforces policies that refuse plain http. Clients of AWS use TLS, so
requests count as encrypted here.

It parses templates with Python's YAML. libyaml's parser needs an eighth of the time.

It extracts a function's zip for each process of the function, which needs as much time as the process. Here
the processes of a zip share a folder below CODE, and the byte-code that Python writes into it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml  # type: ignore[import-untyped]
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import lambda_svc


def _count_requests_as_encrypted() -> None:
    pin = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, _is_encrypted: pin(source_ip, secure_transport=True)


def _convert_concurrency() -> None:
    concurrency = lambda_svc._sqs_esm_concurrency  # noqa: SLF001 - there is no other way

    def converted(mapping: dict[str, Any], *rest: Any) -> int:
        scaling = {name: int(value) for name, value in mapping.get("ScalingConfig", {}).items()}
        return int(concurrency({**mapping, "ScalingConfig": scaling}, *rest))

    lambda_svc._sqs_esm_concurrency = converted  # noqa: SLF001


def _read_whole_logs() -> None:
    """Wait longer, in seconds: for the first line, for another one, and at most."""
    drain = lambda_runtime.Worker._drain_stderr_bounded  # noqa: SLF001 - likewise
    assert drain.__defaults__ == (0.05, 0.005, 0.25)  # noqa: S101 - the version is pinned
    drain.__defaults__ = (0.5, 0.05, 5.0)


def _parse_with_libyaml() -> None:
    """Let the loader of templates, which is defined at the first one, derive from libyaml's."""
    if yaml.__with_libyaml__:
        yaml.SafeLoader = yaml.CSafeLoader


def _extract_once(code: Path) -> None:
    """Extract each zip once, into a folder below this one that is named by the zip's hash."""

    class SharedZip(zipfile.ZipFile):
        def extractall(self, path: Any = None, *_: Any, **__: Any) -> None:
            extracted = code / sha256(Path(str(self.filename)).read_bytes()).hexdigest()
            if not extracted.exists():
                with tempfile.TemporaryDirectory(dir=code) as folder:
                    unfinished = Path(folder, "code")
                    super().extractall(unfinished)
                    with suppress(OSError):  # another process was faster
                        unfinished.rename(extracted)
            Path(path).rmdir()
            Path(path).symlink_to(extracted)

    code.mkdir(parents=True, exist_ok=True)
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedZip})


def _authorize_every_parameter() -> None:
    """Authorize a call for each of its parameters, and SendMessageBatch as SendMessage.

    MiniStack passes the ARN from one function to the other; here it is all ARNs, with spaces between them.
    """
    extract, enforce = iam_actions.extract_resource_arn, iam_evaluator.enforce

    def extract_every(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any
    ) -> str:
        names = _names(headers.get("x-amz-target", ""), body) if service == "ssm" else []
        if not names:
            return str(extract(service, method, path, headers, body, *rest))
        region, account = rest[-2:]
        below = f"arn:aws:ssm:{region}:{account}:parameter/"
        return " ".join(n if n.startswith("arn:") else f"{below}{n.lstrip('/')}" for n in names)

    def enforce_every(key: str, action: str, *args: Any, resource_arn: str = "*", **kwargs: Any) -> Any:
        action = "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action
        for arn in resource_arn.split():
            if denied := enforce(key, action, *args, resource_arn=arn, **kwargs):
                return denied
        return None

    iam_actions.extract_resource_arn = extract_every
    iam_evaluator.enforce = enforce_every


def _names(target: str, body: bytes) -> list[str]:
    if target.endswith(".GetParameters"):
        return list(json.loads(body).get("Names", []))
    return [json.loads(body).get("Path", "/")] if target.endswith(".GetParametersByPath") else []


if __name__ == "__main__":
    _count_requests_as_encrypted()
    _convert_concurrency()
    _read_whole_logs()
    _parse_with_libyaml()
    _extract_once(Path(sys.argv.pop()))
    _authorize_every_parameter()
    app.main()
