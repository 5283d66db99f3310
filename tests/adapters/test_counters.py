"""The counts of the adapters: token requests and their attempts, and writes that AWS throttled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.endpoint
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

from adapters.caller import Caller
from fake_ports import CANARY_TOKEN, rotation
from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.devstack.http_server import LOOPBACK, free_port
from rotator.errors import (
    ConcurrentUpdate,
    InvalidTokenResponse,
    ParameterStoreError,
    TokenEndpointUnavailable,
    TokenRequestError,
    TokenRequestRejected,
)
from rotator.oauth.models import Secret
from rotator.observability.metrics import Counters
from scripted_server import OUTAGE, TOKEN, Answer, Serve, answer, half

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ROTATION = rotation()
NOWHERE = "https://ssm.nowhere.invalid"
ATTEMPTS = 3  # of the SDK, for one call

# Token requests.


@pytest.mark.parametrize(
    ("answers", "attempts"),
    [([TOKEN], 1), ([OUTAGE, TOKEN], 2), ([half, OUTAGE, half, TOKEN], 4)],
    ids=["at once", "after an outage", "after several"],
)
def test_retries_count_as_attempts_of_one_token_request(
    serve: Serve, caller: Caller, answers: list[Answer], attempts: int
) -> None:
    caller.request(serve(*answers).url)
    assert caller.counters.take() == Counter(TokenRequests=1, TokenRequestAttempts=attempts)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (answer(401, b'{"error": "invalid_client"}'), TokenRequestRejected),
        (answer(body=b"x" * 100_000), InvalidTokenResponse),
    ],
    ids=["refused", "no token"],
)
def test_failed_token_request_is_counted(
    serve: Serve, caller: Caller, refusal: Answer, error: type[TokenRequestError]
) -> None:
    peer = serve(refusal)
    for _ in range(2):
        with pytest.raises(error):
            caller.request(peer.url)
    assert caller.counters.take() == Counter(TokenRequests=2, TokenRequestAttempts=2)


def test_refused_connection_is_counted_as_an_attempt(caller: Caller) -> None:
    with pytest.raises(TokenEndpointUnavailable):
        caller.request(f"http://{LOOPBACK}:{free_port()}")
    used = caller.counters.take()
    assert (used["TokenRequests"], used["TokenRequestAttempts"]) == (1, len(caller.slept) + 1)


def test_token_request_without_time_is_not_counted(serve: Serve) -> None:
    peer, caller = serve(TOKEN), Caller(budget=0.5)
    with pytest.raises(TokenEndpointUnavailable, match="time ran out"):
        caller.request(peer.url)
    assert (peer.requests, caller.counters.take()) == ([], Counter())


def test_probe_is_not_counted(serve: Serve, caller: Caller) -> None:
    caller.probe(serve(OUTAGE, TOKEN).url)
    assert caller.counters.take() == Counter()


# Throttled writes.


@pytest.fixture
def client(access_key: None, monkeypatch: pytest.MonkeyPatch) -> SSMClient:
    """A client whose SDK does not sleep between its attempts."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _seconds: None))
    made: SSMClient = aws_client.client("ssm")
    return made


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def store(client: SSMClient, counters: Counters) -> SsmParameterStore:
    return SsmParameterStore(client, on_throttled=lambda: counters.add(throttled_writes=1))


@pytest.fixture
def answer_with(client: SSMClient) -> Callable[..., None]:
    """Let AWS answer calls with these errors in order, then with the last one; None is a success."""

    def registry(*codes: str | Exception | None) -> None:
        def answers() -> Iterator[str | Exception | None]:
            yield from codes
            while True:
                yield codes[-1]

        turn = answers()

        def send(**_: Any) -> Any:
            code = next(turn)
            if isinstance(code, Exception):
                raise code
            return _aws_answer(code)

        client.meta.events.register("before-send", send)

    return registry


def _aws_answer(code: str | None) -> AWSResponse:
    message = f"Rate exceeded for {CANARY_TOKEN}"
    body = {"__type": f"com.amazonaws.ssm#{code}", "message": message} if code else {"Version": 1}
    raw = SimpleNamespace(stream=lambda: iter([json.dumps(body).encode()]))
    return AWSResponse(NOWHERE, 400 if code else 200, HTTPHeaders(), raw)


WRITES: dict[str, Callable[[SsmParameterStore], int]] = {
    "token": lambda store: store.write_token(ROTATION, Secret(CANARY_TOKEN)),
    "status": lambda store: store.write_status(ROTATION, "{}"),
    "first lease": lambda store: store.create_lease(ROTATION, "{}"),
    "lease": lambda store: store.write_lease(ROTATION, "{}"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
@pytest.mark.parametrize("code", sorted(aws_errors.THROTTLED))
def test_throttled_write_retried_by_the_sdk_is_counted(
    store: SsmParameterStore,
    counters: Counters,
    answer_with: Callable[..., None],
    write: Callable[[SsmParameterStore], int],
    code: str,
) -> None:
    answer_with(code, code, None)
    assert write(store) == 1
    assert counters.take() == Counter(ThrottledWrites=2)


def test_every_attempt_of_a_throttled_write_is_counted(
    store: SsmParameterStore, counters: Counters, answer_with: Callable[..., None]
) -> None:
    answer_with("ThrottlingException")
    with pytest.raises(ParameterStoreError, match="ThrottlingException"):
        WRITES["token"](store)
    assert counters.take() == Counter(ThrottledWrites=ATTEMPTS)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("TooManyUpdates", ConcurrentUpdate),
        ("ParameterAlreadyExists", ConcurrentUpdate),
        ("AccessDeniedException", ParameterStoreError),
        ("InternalServerError", ParameterStoreError),
        ("ParameterLimitExceeded", ParameterStoreError),
        (ConnectionClosedError(endpoint_url=NOWHERE), ParameterStoreError),
    ],
    ids=["written at the same time", "created before", "denied", "failed", "over the limit", "unreachable"],
)
def test_write_failing_for_another_reason_is_not_counted(
    store: SsmParameterStore,
    counters: Counters,
    answer_with: Callable[..., None],
    failure: str | Exception,
    error: type[Exception],
) -> None:
    answer_with(failure)
    with pytest.raises(error):
        WRITES["status"](store)
    assert counters.take() == Counter()


def test_throttled_read_is_not_counted(
    store: SsmParameterStore, counters: Counters, answer_with: Callable[..., None]
) -> None:
    answer_with("ThrottlingException")
    with pytest.raises(ParameterStoreError, match="ThrottlingException"):
        store.read(["/a"])
    with pytest.raises(ParameterStoreError, match="ThrottlingException"):
        list(store.read_path("/rotations"))
    assert counters.take() == Counter()


def test_throttled_write_succeeds_without_a_counter(
    client: SSMClient, answer_with: Callable[..., None]
) -> None:
    store = SsmParameterStore(client)
    answer_with("ThrottlingException", None)
    assert WRITES["token"](store) == 1
