"""The invocation of the deployed function, for which an operator needs no access to secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.config import Config

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import RotatorError, SettingsError

ONCE = Config(connect_timeout=5, read_timeout=900, retries={"total_max_attempts": 1})
"""A timeout of Lambda's longest run in seconds, and no automatic second invocation."""

EVERY_OUTCOME = (
    "run `make logs STACK=NAME` for every outcome, and `rotator status --stack NAME` for every token"
)


def invoke(name: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke the function with an event and return its summary.

    Raises SettingsError if there is no such function, or it refused the event or its settings; RotatorError
    if the caller may not invoke it, it failed, or a rotation failed, and then names some failed rotations.
    """
    client = aws_client.client("lambda", ONCE)
    try:
        failed, returned = aws_client.call(
            client.invoke, read=_answer, FunctionName=name, Payload=json.dumps(event).encode()
        )
    except AwsError as error:
        problem = f"the function {name} could not be invoked: {error.code}"
        if error.code in ("ResourceNotFoundException", "ParamValidationError", "ValidationException"):
            raise SettingsError(problem, advice="check the name, the account and the Region") from error
        own = dict.fromkeys(aws_errors.DENIED, f"allow this caller lambda:InvokeFunction on {name}")
        raise RotatorError(problem, advice=error.advice_with(own), retry=error.retry) from error
    if failed:  # Lambda's own messages are about timeouts and memory
        kind = returned.get("errorType")
        raise (SettingsError if kind == "SettingsError" else RotatorError)(
            f"the function {name} failed: {returned.get('errorMessage', 'without a message')}",
            advice=EVERY_OUTCOME if kind == "RotationFailed" else "run `make logs STACK=NAME` for details",
        )
    if "rotations" not in returned:
        advice = f"check the name of the function, and {aws_errors.advice(aws_errors.NOT_AN_ANSWER)}"
        raise SettingsError(f"the function {name} did not return a rotator's summary", advice=advice)
    return returned


def _answer(answer: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Return whether the function failed, and what it returned."""
    returned = json.loads(answer["Payload"].read())
    if not isinstance(returned, dict):
        raise TypeError
    return "FunctionError" in answer, returned
