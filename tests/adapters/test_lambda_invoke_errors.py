"""The answers of a deployed function that fails, and the errors that an operator sees."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from rotator.adapters.operator import lambda_invoke
from rotator.adapters.runtime import aws_client
from rotator.errors import RotatorError, SettingsError
from rotator.renewal.models import Outcome, Result, Summary
from rotator.renewal.results import RotationFailed

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


@pytest.fixture
def client(access_key: None, monkeypatch: pytest.MonkeyPatch) -> LambdaClient:
    made: LambdaClient = aws_client.client("lambda")
    monkeypatch.setattr(aws_client, "client", lambda *_: made)
    return made


def reported(stub: Stubber, kind: str, message: str) -> RotatorError:
    """What is raised when the function raises that."""
    text = json.dumps({"errorType": kind, "errorMessage": message}).encode()
    answer: dict[str, Any] = {
        "StatusCode": 200,
        "FunctionError": "Unhandled",
        "Payload": StreamingBody(io.BytesIO(text), len(text)),
    }
    stub.add_response("invoke", answer, {"FunctionName": "rotator", "Payload": b"{}"})
    with pytest.raises(RotatorError) as caught:
        lambda_invoke.invoke("rotator", {})
    return caught.value


def test_failed_rotations_are_listed_up_to_ten_with_next_steps(stub: Stubber) -> None:
    results = [
        Result(name=f"t{number}", outcome=Outcome.FAILED, error="down; wait", late=True)
        for number in range(600)
    ]
    error = reported(stub, "RotationFailed", str(RotationFailed(Summary(results=tuple(results)))))
    lines = str(error).splitlines()
    assert lines[0] == "the function rotator failed: 600 of 600 rotations failed: t0: down; wait"
    assert lines[1:10] == [f"  t{number}: down; wait" for number in range(1, 10)]
    assert lines[10].startswith("  and 590 more; the next run tries again")
    assert "`make logs STACK=NAME`" in error.advice
    assert "`rotator status --stack NAME`" in error.advice
    assert not isinstance(error, SettingsError)


@pytest.mark.parametrize(("kind", "code"), [("SettingsError", SettingsError), ("Runtime.X", RotatorError)])
def test_other_failure_keeps_its_kind_and_points_to_the_log(
    stub: Stubber, kind: str, code: type[RotatorError]
) -> None:
    error = reported(stub, kind, "a | b")
    assert type(error) is code
    assert str(error) == "the function rotator failed: a | b; run `make logs STACK=NAME` for details"
