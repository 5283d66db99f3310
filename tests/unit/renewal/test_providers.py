"""Renewals at providers that do not answer to the letter of RFC 6749, by settings alone, on fakes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

import fake_ports
from fake_ports import CANARY_SECRET, DAY, START, jwt
from rotator.config.registry import Fleet
from rotator.errors import RotatorError
from rotator.fleet.run import run_fleet
from rotator.oauth.models import ClientAuthentication, Secret, Stage, TokenRequestFormat
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Outcome, Summary
from rotator.renewal.policy import ExpectedLifetime
from single_rotation import HOUR, TOKEN, SingleRotation

TOKEN_VALUE = "canary-token"
EPOCH = START.timestamp()


def world(*answers: Any, **settings: Any) -> SingleRotation:
    made = SingleRotation(*answers, **settings)
    credentials = made.ports.secrets.credentials["healthwise/client"]
    members = {"gateway.key": Secret("canary-key"), "password": Secret("canary-password")}
    made.ports.secrets.credentials["healthwise/client"] = replace(credentials, members=members)
    return made


def summary(made: SingleRotation, *, shortest: float = DAY, longest: float = DAY) -> Summary:
    """Return the summary of a run that knows the expected lifetime."""
    expected = ExpectedLifetime(shortest=shortest, longest=longest)
    run = replace(fake_ports.run(made.clock), expected_lifetime=expected)
    return run_fleet(Fleet(rotations=(made.rotation,)), made.ports, run, Guarantee())


def asked(made: SingleRotation) -> dict[str, str]:
    return dict(parse_qsl(made.ports.token_endpoint.requests[-1].body.value))


PROVIDERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Shopify": ({}, {"access_token": TOKEN_VALUE, "scope": "write_products,read_x", "expires_in": DAY}),
    "Apigee": (
        {"scope": ""},
        {
            "token_type": "BearerToken",
            "issued_at": "1394664000000",
            "access_token": TOKEN_VALUE,
            "expires_in": str(DAY),
            "status": "approved",
        },
    ),
    "Entra ID v1": (
        {"token_request_params": {"resource": "https://api.example.test"}, "scope": ""},
        {
            "token_type": "Bearer",
            "expires_in": str(DAY),
            "ext_expires_in": "0",
            "expires_on": str(int(EPOCH) + DAY),
            "not_before": str(int(EPOCH)),
            "access_token": TOKEN_VALUE,
        },
    ),
    "Salesforce": (
        {"fallback_lifetime": DAY},
        {
            "access_token": TOKEN_VALUE,
            "token_type": "Bearer",
            "issued_at": "1394664000000",
            "signature": "canary",
        },
    ),
    "Zoom": (
        {"grant_type": "account_credentials", "token_request_params": {"account_id": "a"}, "scope": ""},
        {"access_token": TOKEN_VALUE, "token_type": "bearer", "expires_in": DAY, "scope": "user:read"},
    ),
    "a JSON API": (
        {
            "token_request_format": TokenRequestFormat.JSON,
            "client_authentication": ClientAuthentication.POST,
            "response_members": {
                "access_token": "tokenData.access_token",
                "expires_in": "tokenData.expires_in",
            },
        },
        {"success": True, "error": None, "tokenData": {"access_token": TOKEN_VALUE, "expires_in": DAY}},
    ),
    "ASP.NET": (
        {},
        {"access_token": TOKEN_VALUE, "token_type": "bearer", ".expires": "Wed, 25 Nov 2026 06:00:00 GMT"},
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_token_is_renewed_by_settings_alone(provider: str) -> None:
    settings, answer = PROVIDERS[provider]
    made = world((200, answer), **settings)
    reported = summary(made)
    assert reported.warnings == ()
    assert (reported.results[0].outcome, reported.results[0].lifetime) == (Outcome.ROTATED, DAY)
    assert made.token == TOKEN_VALUE


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "refusal",
    [
        (401, {"error": "unauthorized_client"}),
        (403, {"error": "access_denied"}),
        (400, {"error": "invalid_client_id"}),
        (401, {"errorCode": "invalid_client"}),
        (401, {"statusCode": 401, "message": "missing subscription key"}),
    ],
)
def test_wrong_secret_is_followed_by_the_one_before(provider: str, refusal: Any) -> None:
    settings, answer = PROVIDERS[provider]
    made = world(refusal, (200, answer), **settings)
    made.ports.secrets.stage(Stage.PREVIOUS, "canary-previous")
    reported = summary(made)
    assert (reported.results[0].secret_stage, made.token) == (Stage.PREVIOUS, TOKEN_VALUE)
    assert len(reported.warnings) == 1
    assert "canary" not in json.dumps(reported.to_dict())


def test_gateway_that_refuses_every_stage_is_named_with_them() -> None:
    made = world(*[(401, b"<html>")] * 2)
    made.ports.secrets.stage(Stage.PREVIOUS, "canary-previous")
    error = str(summary(made).results[0].error)
    assert (
        "refused the request: HTTP 401, without a known error code, with each of AWSCURRENT and AWSPREVIOUS; "
        in error
    )
    assert "check client_id and client_secret in the secret" in error
    assert "secret_headers, token_request_headers" in error


def test_stage_that_differs_in_a_header_alone_is_tried() -> None:
    made = world((401, b""), secret_headers={"X-Key": "gateway.key"})
    made.ports.secrets.stage(Stage.PREVIOUS, CANARY_SECRET, members={"gateway.key": Secret("canary-old-key")})
    assert summary(made).results[0].secret_stage is Stage.PREVIOUS
    assert made.ports.token_endpoint.requests[-1].headers["X-Key"] == Secret("canary-old-key")


def test_members_of_the_secret_reach_the_endpoint_and_the_probe() -> None:
    made = world(
        grant_type="password",
        secret_params={"password": "password"},
        secret_headers={"X-Key": "gateway.key"},
        token_request_headers={"X-Tenant": "a"},
        verify_url="https://api.example.test/ping",
    )
    assert summary(made).results[0].outcome is Outcome.ROTATED
    request = made.ports.token_endpoint.requests[0]
    assert request.headers.keys() == {"Content-Type", "Authorization", "X-Tenant", "X-Key"}
    assert (request.headers["X-Tenant"], request.headers["X-Key"]) == (Secret("a"), Secret("canary-key"))
    assert (asked(made)["grant_type"], asked(made)["password"]) == ("password", "canary-password")
    assert made.ports.token_endpoint.probe_headers == {"X-Key": Secret("canary-key")}


# Lifetimes


def lifetime_of(seconds: object, **changes: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"access_token": TOKEN_VALUE, "token_type": "Bearer", "expires_in": seconds, **changes}


@pytest.mark.parametrize("seconds", [HOUR * 12, DAY, DAY * 2])
def test_lifetime_near_the_expected_one_is_no_warning(seconds: int) -> None:
    assert summary(world(lifetime_of(seconds))).warnings == ()


@pytest.mark.parametrize(
    ("seconds", "words"), [(HOUR * 11, "11 h"), (DAY * 2 + 60, "2 d 1 min"), (DAY * 10, "10 d")]
)
def test_lifetime_far_from_the_expected_one_is_a_warning(seconds: int, words: str) -> None:
    made = world(lifetime_of(seconds))
    first, second = summary(made), summary(made)
    assert [result.outcome for result in (*first.results, *second.results)] == [
        Outcome.ROTATED,
        Outcome.FRESH,
    ]
    assert first.warnings == second.warnings
    assert first.warnings[0].startswith(
        f"rotation default: its token has a lifetime of {words}, and the expected lifetime is 1 d"
    )
    assert "TokenLifetime of the stack (ROTATOR_TOKEN_LIFETIME)" in first.warnings[0]
    own = "or set `lifetime` of the rotation if the endpoint reports a wrong one"
    assert first.warnings[0].endswith(f", {own}")


def test_hour_in_milliseconds_is_refused() -> None:
    made = world(lifetime_of(3_600_000))
    result = summary(made, shortest=HOUR, longest=HOUR).results[0]
    assert (result.outcome, result.error_kind, made.token) == (Outcome.FAILED, "InvalidTokenResponse", None)
    unit = "set lifetime to the token's lifetime in seconds if the endpoint uses another unit, or "
    assert (result.advice or "").startswith(unit)
    assert "a token with a lifetime of 41 d 16 h, more than 10 times the expected lifetime (1 h)" in str(
        result.error
    )
    assert "set lifetime to the token's lifetime in seconds" in str(result.error)
    assert made.ports.token_endpoint.probes == []


def test_hour_in_milliseconds_is_read_by_lifetime() -> None:
    made = world(lifetime_of(3_600_000), lifetime=HOUR)
    reported = summary(made, shortest=HOUR, longest=HOUR)
    assert (reported.results[0].lifetime, reported.warnings) == (HOUR, ())


def test_long_lifetime_that_is_set_is_a_warning_alone() -> None:
    reported = summary(world(lifetime_of(60), lifetime=DAY * 60))
    assert reported.results[0].outcome is Outcome.ROTATED
    assert "its token has a lifetime of 60 d" in reported.warnings[0]


def test_nothing_is_odd_where_no_lifetime_is_expected() -> None:
    made = world(lifetime_of(DAY * 60))
    result = made.run_once()
    assert (result.outcome, result.warnings) == (Outcome.ROTATED, ())


@pytest.mark.parametrize(
    ("seconds", "outcome", "warnings"), [(DAY, Outcome.ROTATED, 0), (DAY * 11, Outcome.FAILED, 0)]
)
def test_token_needs_path_may_outlive_the_shortest(seconds: int, outcome: Outcome, warnings: int) -> None:
    reported = summary(world(lifetime_of(seconds)), shortest=HOUR, longest=DAY)
    assert (reported.results[0].outcome, len(reported.warnings)) == (outcome, warnings)


@pytest.mark.parametrize("seconds", [0, -1, "", "soon", 10 * 366 * DAY])
def test_wrong_expires_in_is_reported_in_the_summary(seconds: object) -> None:
    made = world(lifetime_of(seconds), fallback_lifetime=DAY)
    reported = summary(made)
    assert reported.results[0].lifetime == DAY
    assert [w.partition(" that is ")[0] for w in reported.warnings] == [
        "rotation default: the token endpoint sent an expires_in"
    ]
    refused = summary(world(lifetime_of(seconds))).results[0]
    assert "set fallback_lifetime" in str(refused.error)


def test_exp_of_a_jwt_caps_the_lifetime_that_is_set() -> None:
    token = jwt({"exp": EPOCH + HOUR})
    assert summary(world(lifetime_of(60, access_token=token), lifetime=DAY)).results[0].lifetime == HOUR


def test_secret_with_a_space_is_a_warning_and_part_of_the_advice() -> None:
    made = world((200, {"access_token": "t", "expires_in": DAY}), (401, {"error": "invalid_client"}))
    spaced = replace(made.ports.secrets.credentials["healthwise/client"], spaced_members=("client_secret",))
    made.ports.secrets.credentials["healthwise/client"] = spaced
    problem = "client_secret in the secret begins or ends with a space"
    assert summary(made).warnings == (f"rotation default: {problem}",)
    assert problem in str(summary(made.later(DAY)).results[0].error)


def test_no_settings_value_of_a_secret_shows(caplog: pytest.LogCaptureFixture) -> None:
    for answer in (
        (403, {"error": "canary"}),
        (200, {"access_token": ["canary"]}),
        RotatorError("x", advice="y"),
    ):
        made = world(answer, secret_headers={"X-Key": "gateway.key"}, secret_params={"password": "password"})
        reported = summary(made)
        assert reported.results[0].outcome is Outcome.FAILED
        assert "canary" not in json.dumps(reported.to_dict()) + caplog.text + repr(
            made.ports.token_endpoint.requests
        )
        assert TOKEN not in made.ports.parameters.parameters
