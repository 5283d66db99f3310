"""The embedded Authorization API itself: its refusals, its tokens and its misbehaviour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from misbehaving_api import MisbehavingApi
from rotator.devstack.http_server import serving

API = MisbehavingApi({"client": "secret"})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(API.app) as address:
        yield address


@pytest.fixture(autouse=True)
def well_behaved() -> None:
    API.misbehaviour.plan(revokes_older_tokens=False)


def post(
    address: str, *, auth: tuple[str, str] | None = ("client", "secret"), **form: str
) -> requests.Response:
    fields = {"grant_type": "client_credentials", "scope": "*", **form}
    return requests.post(f"{address}/oauth2/token", data=fields, auth=auth, timeout=10)


def topics(address: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{address}/topics", headers=headers, timeout=10).status_code


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"auth": ("client", "wrong")}, 401, "invalid_client", id="wrong secret"),
        pytest.param({"auth": ("unknown", "secret")}, 401, "invalid_client", id="unknown client"),
        pytest.param({"auth": None}, 401, "invalid_client", id="no credentials"),
        pytest.param({"scope": "everything"}, 400, "invalid_scope", id="unknown scope"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="another grant"),
        pytest.param({"grant_type": ""}, 400, "unsupported_grant_type", id="no grant"),
        pytest.param({"expiration": "86401"}, 400, "invalid_request", id="lifetime too long"),
        pytest.param({"expiration": "0"}, 400, "invalid_request", id="lifetime of zero"),
        pytest.param({"expiration": "a day"}, 400, "invalid_request", id="lifetime in words"),
    ],
)
def test_a_bad_request_is_refused_as_rfc_6749_says(
    changes: dict[str, Any], status: int, error: str, address: str
) -> None:
    answer = post(address, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)


def test_expiration_sets_the_lifetime_and_defaults_to_a_day(address: str) -> None:
    assert post(address).json()["expires_in"] == 86400
    assert post(address, expiration="60").json()["expires_in"] == 60


def test_client_credentials_are_accepted_in_the_form_body(address: str) -> None:
    assert post(address, auth=None, client_id="client", client_secret="secret").status_code == 200


def test_topics_are_served_only_with_a_valid_token(address: str) -> None:
    token = post(address).json()["access_token"]
    assert topics(address, token) == 200
    assert topics(address, token[:-2] + "AA") == 401
    assert topics(address, "") == 401
    assert requests.get(f"{address}/topics", timeout=10).status_code == 401


def test_new_token_revokes_older_ones_when_planned(address: str) -> None:
    requests.put(f"{address}/_misbehaviour", json={"revokes_older_tokens": True}, timeout=10)
    first = post(address).json()["access_token"]
    second = post(address).json()["access_token"]
    assert (topics(address, first), topics(address, second)) == (401, 200)


def test_planned_answers_are_sent_in_sequence(address: str) -> None:
    answers = [{"status": 503, "headers": {"Retry-After": "9"}}, {"body": "<html>"}, {}]
    requests.put(f"{address}/_misbehaviour", json={"answers": answers}, timeout=10)
    first, second, third = post(address), post(address), post(address)
    assert (first.status_code, first.headers["Retry-After"]) == (503, "9")
    assert (second.status_code, second.text) == (200, "<html>")
    assert "access_token" in third.json()


def test_token_requests_are_counted(address: str) -> None:
    before = requests.get(f"{address}/_misbehaviour", timeout=10).json()["token_requests"]
    post(address)
    assert requests.get(f"{address}/_misbehaviour", timeout=10).json()["token_requests"] == before + 1


@pytest.mark.parametrize(
    "plan", [{"answers": [{"statuss": 503}]}, [], {"answers": 5}], ids=["misspelt", "a list", "a number"]
)
def test_invalid_misbehaviour_plan_is_refused(plan: Any, address: str) -> None:
    assert requests.put(f"{address}/_misbehaviour", json=plan, timeout=10).status_code == 400


def test_a_stalled_body_arrives_in_two_pieces(address: str) -> None:
    API.misbehaviour.plan({"body": "0123456789", "stall": 0.2})
    assert post(address).text == "0123456789"


# A client's secret is rolled.


@pytest.fixture
def rolling() -> Iterator[tuple[MisbehavingApi, str]]:
    api = MisbehavingApi({"client": "secret"})
    with serving(api.app) as address:
        yield api, address


def accepted(address: str, *candidates: str) -> list[str]:
    """Return the secrets with which a token is issued."""
    return [s for s in candidates if post(address, auth=("client", s)).status_code == 200]


@pytest.mark.parametrize(("keep_older", "valid"), [(False, ["new"]), (True, ["secret", "new"])])
def test_a_secret_can_be_rolled_with_and_without_an_overlap(
    rolling: tuple[MisbehavingApi, str], keep_older: bool, valid: list[str]
) -> None:
    api, address = rolling
    api.roll_secret("client", "new", keep_older=keep_older)
    assert accepted(address, "secret", "new", "other", "") == valid


def test_next_roll_stops_the_overlap_even_for_the_same_secret(
    rolling: tuple[MisbehavingApi, str],
) -> None:
    api, address = rolling
    api.roll_secret("client", "new", keep_older=True)
    api.roll_secret("client", "new")
    assert accepted(address, "secret", "new") == ["new"]
    api.roll_secret("client", "newest", keep_older=True)
    assert accepted(address, "secret", "new", "newest") == ["new", "newest"]


def test_tokens_stay_valid_after_their_secret_is_rolled(rolling: tuple[MisbehavingApi, str]) -> None:
    api, address = rolling
    token = post(address).json()["access_token"]
    api.roll_secret("client", "new")
    assert topics(address, token) == 200


def test_rolling_the_secret_of_an_unknown_client_fails() -> None:
    with pytest.raises(KeyError):
        API.roll_secret("unknown", "new")
