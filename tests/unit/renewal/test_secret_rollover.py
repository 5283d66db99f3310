"""Secret rollover on fakes: which stages are tried, what is published, what is said where nothing helps."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from typing import Any

import pytest

import fake_ports
from fake_ports import CANARY_SECRET, CANARY_TOKEN, FakeSecretStore
from leak_check import reported
from rotator.errors import (
    CredentialsError,
    InvalidTokenResponse,
    RotatorError,
    TokenEndpointUnavailable,
    TokenRequestRejected,
    TokenVerificationError,
)
from rotator.oauth.models import ClientAuthentication, Secret, Stage
from rotator.renewal import renew, secret_rollover
from rotator.renewal.models import Outcome
from single_rotation import HOUR, UNANSWERED, UNAVAILABLE, SingleRotation, fakes_answer, rotated

PENDING, PREVIOUS = "canary-pending/+=", "canary-previous/+="
REFUSED = (401, {"error": "invalid_client"})
DENIED = CredentialsError("the secret could not be read: AccessDeniedException", advice="allow it")


def world(
    *answers: Any, pending: str | None = None, previous: str | None = None, **settings: Any
) -> SingleRotation:
    """A world without a token, whose secret has other stages, and whose endpoint answers so first."""
    made = SingleRotation(*answers, **settings)
    staged(made, pending=pending, previous=previous)
    return made


def staged(
    made: SingleRotation, *, pending: str | None = None, previous: str | None = None
) -> SingleRotation:
    for stage, secret in ((Stage.PENDING, pending), (Stage.PREVIOUS, previous)):
        if secret:
            made.ports.secrets.stage(stage, secret)
    return made


def asked_with(made: SingleRotation) -> list[str]:
    """The client secrets that the endpoint was asked with."""
    headers = [r.headers["Authorization"].value for r in made.ports.token_endpoint.requests]
    return [base64.b64decode(h.removeprefix("Basic ")).decode().partition(":")[2] for h in headers]


def failure(made: SingleRotation, *, budget: float = 60) -> RotatorError:
    """The error with which a run fails."""
    run = fake_ports.run(made.clock, budget=budget)
    with pytest.raises(RotatorError) as caught:
        renew._rotate(made.rotation, made.stored(), made.ports, run)
    assert made.token is None
    return caught.value


# A stage that works.


def test_accepted_client_requests_once_despite_other_stages() -> None:
    made = world(pending=PENDING, previous=PREVIOUS)
    assert made.run_once().secret_stage is Stage.CURRENT
    assert asked_with(made) == [CANARY_SECRET]
    assert "secret_stage" not in made.status


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(REFUSED, id="401 invalid_client"),
        pytest.param((400, {"error": "invalid_client"}), id="400 invalid_client"),
        pytest.param((200, {"error": "invalid_client"}), id="invalid_client with 200"),
        pytest.param((401, b"<html>"), id="401 without a code"),
        pytest.param((401, {"error": "bad_secret"}), id="401 with an unknown code"),
        pytest.param((401, {"error": "unauthorized_client"}), id="401 unauthorized_client (Keycloak)"),
        pytest.param((403, {"error": "unauthorized_client"}), id="403 unauthorized_client (Keycloak)"),
        pytest.param((403, {"error": "access_denied"}), id="access_denied (Auth0)"),
        pytest.param((400, {"error": "invalid_client_id"}), id="invalid_client_id (Salesforce)"),
        pytest.param((401, {"error": "server_error"}), id="401 server_error (ServiceNow)"),
        pytest.param((401, {"errorCode": "invalid_client"}), id="errorCode (Okta)"),
        pytest.param((400, {"ErrorCode": "INVALID_CLIENT"}), id="upper case"),
    ],
)
def test_refused_client_is_retried_with_pending_stage(refusal: Any) -> None:
    made = world(refusal, pending=PENDING, previous=PREVIOUS)
    result = made.run_once()
    assert (result.outcome, result.secret_stage) == (Outcome.ROTATED, Stage.PENDING)
    assert asked_with(made) == [CANARY_SECRET, PENDING]
    assert made.token == f"{CANARY_TOKEN}-2"
    assert (made.status["secret_version_id"], made.status["secret_stage"]) == (
        "secret-awspending",
        "AWSPENDING",
    )


@pytest.mark.parametrize(
    ("answers", "pending", "asked"),
    [
        pytest.param([REFUSED], None, [CANARY_SECRET, PREVIOUS], id="there is none"),
        pytest.param([REFUSED], CANARY_SECRET, [CANARY_SECRET, PREVIOUS], id="it is AWSCURRENT"),
        pytest.param([REFUSED] * 2, PENDING, [CANARY_SECRET, PENDING, PREVIOUS], id="it is refused, too"),
    ],
)
def test_previous_stage_is_tried_when_pending_does_not_help(
    answers: list[Any], pending: str | None, asked: list[str]
) -> None:
    made = world(*answers, pending=pending, previous=PREVIOUS)
    assert made.run_once().secret_stage is Stage.PREVIOUS
    assert asked_with(made) == asked
    assert (made.status["secret_version_id"], made.status["secret_stage"]) == (
        "secret-awsprevious",
        "AWSPREVIOUS",
    )


def test_different_client_id_counts_as_other_credentials() -> None:
    made = world(REFUSED)
    made.ports.secrets.stage(Stage.PENDING, CANARY_SECRET, client_id="client-2")
    assert made.run_once().secret_stage is Stage.PENDING


def test_accepted_current_stage_clears_secret_stage_in_status() -> None:
    made = world(REFUSED, previous=PREVIOUS)
    made.run_once()
    assert made.run_once(force=True).secret_stage is Stage.CURRENT
    assert "secret_stage" not in made.status
    assert made.status["secret_version_id"] == "secret-v1"


def test_kept_token_reports_the_stage_of_its_request() -> None:
    made = rotated(REFUSED, (200, fakes_answer(expires_in=7 * HOUR))).later(17 * HOUR)
    result = staged(made, previous=PREVIOUS).run_once()
    assert (result.outcome, result.secret_stage) == (Outcome.KEPT, Stage.PREVIOUS)


def test_fresh_token_reports_the_current_stage() -> None:
    made = world(REFUSED, previous=PREVIOUS)
    made.run_once()
    result = made.run_once()
    assert (result.outcome, result.secret_stage) == (Outcome.FRESH, Stage.CURRENT)


# No stage works.


def test_refusal_without_other_stages_has_the_plain_error() -> None:
    error = failure(world(REFUSED))
    assert str(error) == str(failure(world(REFUSED, secret_rollover=False)))
    assert error.problem == "the token endpoint refused the request: HTTP 401, error invalid_client"


def test_stages_with_the_same_credentials_are_not_requested() -> None:
    made = world(REFUSED, pending=CANARY_SECRET, previous=CANARY_SECRET)
    assert "AWSP" not in str(failure(made))
    assert asked_with(made) == [CANARY_SECRET]


def test_previous_stage_equal_to_pending_is_not_tried_twice() -> None:
    made = world(REFUSED, REFUSED, pending=PENDING, previous=PENDING)
    assert failure(made).problem.endswith("error invalid_client, with each of AWSCURRENT and AWSPENDING")
    assert asked_with(made) == [CANARY_SECRET, PENDING]


def test_refusal_of_all_stages_names_first_error_and_stages() -> None:
    made = world(REFUSED, (400, {"error": "invalid_client"}), (401, b""), pending=PENDING, previous=PREVIOUS)
    error = failure(made)
    assert isinstance(error, TokenRequestRejected)
    assert (error.status, error.code) == (401, "invalid_client")
    assert error.problem == (
        "the token endpoint refused the request: HTTP 401, error invalid_client, "
        "with each of AWSCURRENT, AWSPENDING and AWSPREVIOUS"
    )
    assert error.advice.startswith("check client_id and client_secret in the secret")
    assert isinstance(error.__cause__, TokenRequestRejected)
    assert error.problem.startswith(f"{error.__cause__.problem}, with each of")
    assert asked_with(made) == [CANARY_SECRET, PENDING, PREVIOUS]


def test_secret_rollover_false_tries_no_other_stage() -> None:
    made = world(REFUSED, pending=PENDING, previous=PREVIOUS, secret_rollover=False)
    failure(made)
    assert asked_with(made) == [CANARY_SECRET]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((400, {"error": "invalid_scope"}), id="what it asked for is refused"),
        pytest.param((403, b""), id="403"),
        pytest.param((302, b""), id="a redirect"),
        pytest.param((200, b"<html>"), id="no token"),
        pytest.param(UNAVAILABLE, id="no answer"),
    ],
)
def test_error_other_than_client_refusal_tries_no_other_stage(answer: Any) -> None:
    made = world(answer, pending=PENDING, previous=PREVIOUS)
    assert "AWSP" not in str(failure(made))
    assert PENDING not in asked_with(made)


# Another stage's request ends otherwise.


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(UNAVAILABLE, TokenEndpointUnavailable, id="no answer"),
        pytest.param((400, {"error": "invalid_scope"}), TokenRequestRejected, id="invalid_scope"),
        pytest.param((200, b"<html>"), InvalidTokenResponse, id="no token"),
    ],
)
@pytest.mark.parametrize(
    ("refusals", "where"),
    [
        (1, "with AWSPENDING, after the endpoint refused AWSCURRENT: "),
        (2, "with AWSPREVIOUS, after the endpoint refused AWSCURRENT and AWSPENDING: "),
    ],
)
def test_error_of_another_stage_keeps_type_and_names_stage(
    answer: Any, kind: type[RotatorError], refusals: int, where: str
) -> None:
    made = world(*[REFUSED] * refusals, answer, pending=PENDING, previous=PREVIOUS)
    error = failure(made)
    assert type(error) is kind
    assert error.problem.startswith(where)
    assert str(error) == f"{error.problem}; {error.next_step}"
    assert len(made.ports.token_endpoint.requests) == refusals + 1


def test_error_of_another_stage_keeps_its_attributes() -> None:
    asked = TokenEndpointUnavailable("down", advice="wait", retry_after=90)
    error = failure(world(REFUSED, asked, REFUSED, pending=PENDING))
    assert isinstance(error, TokenEndpointUnavailable)
    assert (error.retry_after, error.advice) == (90, "wait")
    scope = failure(world(REFUSED, (400, {"error": "invalid_scope"}), pending=PENDING))
    assert isinstance(scope, TokenRequestRejected)
    assert (scope.status, scope.code) == (400, "invalid_scope")


def test_failed_verification_publishes_nothing_and_names_stage() -> None:
    made = world(REFUSED, pending=PENDING, verify_url="https://content.example.test/topics")
    made.ports.token_endpoint.probe_status = 403
    error = failure(made)
    assert isinstance(error, TokenVerificationError)
    assert error.problem.startswith("with AWSPENDING, after the endpoint refused AWSCURRENT: ")


# Versions that cannot be read.


def test_unreadable_stage_is_skipped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = world(REFUSED, previous=PREVIOUS)
    made.ports.secrets.fails[Stage.PENDING] = DENIED
    assert made.run_once().secret_stage is Stage.PREVIOUS
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        (
            "rotation default: the credentials labelled AWSPENDING are not tried: "
            "the secret could not be read: AccessDeniedException"
        )
    ]


def test_unreadable_stages_do_not_hide_the_refusal() -> None:
    made = world(REFUSED)
    made.ports.secrets.fails |= {Stage.PENDING: DENIED, Stage.PREVIOUS: DENIED}
    assert str(failure(made)) == str(failure(world(REFUSED)))


@pytest.mark.parametrize(
    ("budget", "latency", "asked"),
    [
        pytest.param(60, 30, 2, id="just enough"),
        pytest.param(60, 30.1, 1, id="too little for a read that hangs"),
        pytest.param(18, 5.9, 2, id="two thirds of a short run"),
        pytest.param(18, 6.1, 1, id="less than that"),
    ],
)
def test_other_stages_are_tried_only_with_enough_time(budget: float, latency: float, asked: int) -> None:
    made = world(REFUSED, REFUSED, pending=PENDING)
    made.ports.token_endpoint.latency = latency
    failure(made, budget=budget)
    assert len(asked_with(made)) == asked


@pytest.mark.parametrize(("seconds", "asked"), [(49, 2), (49.5, 1)])
def test_stage_that_is_read_too_slowly_is_not_requested(
    seconds: float, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    made = world(REFUSED, REFUSED, pending=PENDING)
    read = made.ports.secrets.read_stage

    def read_slowly(*args: Any) -> Any:
        made.clock.sleep(seconds)
        return read(*args)

    made.ports.secrets.read_stage = read_slowly  # type: ignore[assignment, method-assign]
    reported = str(failure(made))
    assert len(asked_with(made)) == asked
    if asked == 1:
        assert reported == str(failure(world(REFUSED)))
        assert (
            "rotation default: no time left for a request with the credentials labelled AWSPENDING"
            in caplog.messages
        )


def test_run_without_time_keeps_refusal_and_logs_untried_stage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = world(REFUSED, pending=PENDING)
    made.ports.token_endpoint.latency = 50
    assert str(failure(made)) == str(failure(world(REFUSED)))
    assert "rotation default: no time left to read the credentials labelled AWSPENDING" in caplog.messages


def test_refusal_logs_that_other_stages_are_tried(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="rotator")
    failure(world(REFUSED))
    assert (
        "rotation default: the endpoint refused the client with AWSCURRENT; trying other stages"
        in caplog.messages
    )


# Whether a token may have been issued: the trace of an unfinished renewal.


DOUBTFUL = TokenRequestRejected(
    "refused", advice="mend", status=401, code="invalid_client", may_have_issued=True
)


@pytest.mark.parametrize(
    ("answers", "issued"),
    [
        pytest.param([REFUSED, REFUSED, REFUSED], "no", id="three answers"),
        pytest.param([DOUBTFUL, REFUSED, REFUSED], "unknown", id="AWSCURRENT in doubt"),
        pytest.param([REFUSED, DOUBTFUL, REFUSED], "unknown", id="AWSPENDING in doubt"),
        pytest.param([REFUSED, REFUSED, DOUBTFUL], "unknown", id="AWSPREVIOUS in doubt"),
        pytest.param([DOUBTFUL, (400, {"error": "invalid_scope"})], "unknown", id="ended after doubt"),
        pytest.param([REFUSED, (400, {"error": "invalid_scope"})], "no", id="ended by a refusal"),
        pytest.param([REFUSED, UNANSWERED], "unknown", id="not answered"),
        pytest.param([REFUSED, UNAVAILABLE], "no", id="not reached"),
        pytest.param([REFUSED, (200, b"<html>")], "no", id="a page"),
        pytest.param([REFUSED, (200, b"{")], "unknown", id="issued, and no token"),
    ],
)
def test_lease_records_possibly_issued_token_of_any_stage(answers: list[Any], issued: str) -> None:
    made = world(*answers, pending=PENDING, previous=PREVIOUS)
    failure(made)
    assert made.lease["issued"] == issued


# What is said.


def test_errors_and_logs_show_no_secret_of_any_stage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for last in (REFUSED, UNAVAILABLE, (200, b"canary")):
        made = world(REFUSED, REFUSED, last, pending=PENDING, previous=PREVIOUS)
        said = reported(failure(made)) + caplog.text + repr(vars(made.ports.secrets))
        assert not [secret for secret in (CANARY_SECRET, PENDING, PREVIOUS) if secret in said]


def test_obtain_returns_token_with_accepted_credentials() -> None:
    secrets = FakeSecretStore()
    secrets.stage(Stage.PENDING, PENDING)
    clock = fake_ports.Clock()
    refusal = TokenRequestRejected("refused", advice="mend", status=401, code="invalid_client")
    issued: Any = object()

    def obtain(credentials: Any) -> Any:
        if credentials.client_secret == Secret(PENDING):
            return issued
        raise refusal

    token, credentials = secret_rollover.obtain(fake_ports.rotation(), secrets, fake_ports.run(clock), obtain)
    assert token is issued
    assert (credentials.version_id, credentials.stage) == ("secret-awspending", Stage.PENDING)


# Clients with a private key.

BY_KEY: dict[str, Any] = {
    "client_authentication": ClientAuthentication.PRIVATE_KEY_JWT,
    "signing_key_id": "alias/client",
}


@pytest.mark.parametrize(("client_id", "requests"), [("client", 1), ("another", 2)])
def test_private_key_tries_stages_of_another_client_only(client_id: str, requests: int) -> None:
    made = SingleRotation(REFUSED, REFUSED, **BY_KEY)
    current = made.ports.secrets.credentials["healthwise/client"]
    made.ports.secrets.credentials["healthwise/client"] = replace(current, client_secret=Secret(""))
    made.ports.secrets.stage(Stage.PENDING, "", client_id=client_id)
    assert "the public key of signing_key_id" in failure(made).advice
    assert len(made.ports.token_endpoint.requests) == requests


def test_key_that_cannot_sign_for_another_stage_names_it() -> None:
    made = SingleRotation(REFUSED, CredentialsError("it could not be signed", advice="allow it"), **BY_KEY)
    made.ports.secrets.stage(Stage.PENDING, "", client_id="another")
    error = failure(made)
    assert isinstance(error, CredentialsError)
    assert "with AWSPENDING, after the endpoint refused AWSCURRENT: it could not be signed" in error.problem
