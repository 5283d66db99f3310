"""Rotations from documents, and the lifetimes that the settings expect."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import fake_ports
from fake_ports import DAY, rotation
from rotator.bootstrap import Rotator
from rotator.config.environment import Settings
from rotator.errors import SettingsError
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Outcome, Parameter

CLOCK = fake_ports.Clock()


def documented(**documents: Any) -> Rotator:
    ports = fake_ports.ports(CLOCK)
    for name, fields in documents.items():
        text = fields if isinstance(fields, str) else json.dumps(fields)
        ports.parameters.parameters[f"/rotations/{name}"] = Parameter(value=text, version=1, type="String")
    return Rotator(settings=Settings(rotation=None, rotations_path="/rotations"), ports=ports)


def tenant(of: str, **changes: Any) -> dict[str, Any]:
    return {"secret_id": "healthwise/client", "parameter_name": f"/{of}/token", **changes}


def test_every_document_is_a_rotation() -> None:
    summary = documented(a=tenant("a"), b=tenant("b")).run(fake_ports.run(CLOCK))
    assert [(r.name, r.outcome) for r in summary.results] == [("a", Outcome.ROTATED), ("b", Outcome.ROTATED)]


def test_bad_document_fails_by_name_and_others_are_rotated() -> None:
    rotator = documented(a=tenant("a"), b="{", c=tenant("c", renew_at=7), d=tenant("d"))
    summary = rotator.run(fake_ports.run(CLOCK))
    assert [r.outcome.value for r in summary.results] == ["rotated", "failed", "failed", "rotated"]
    assert "not a JSON object" in str(summary.results[1].error)
    assert "renew_at in the rotation document /rotations/c" in str(summary.results[2].error)


def test_throttled_page_is_retried_until_the_request_deadline() -> None:
    rotator, had = documented(a=tenant("a")), list[float | None]()
    read_path = rotator.ports.parameters.read_path

    def note(path: str, *, retry_until: Deadline | None = None) -> Any:
        had.append(retry_until.remaining() if retry_until else None)
        return read_path(path)

    rotator.ports.parameters.read_path = note  # type: ignore[method-assign]
    rotator.run(fake_ports.run(CLOCK, budget=60))
    rotator.fleet()
    assert had == [50, None]


def test_a_path_without_documents_is_an_error() -> None:
    with pytest.raises(SettingsError, match="no rotation under /rotations"):
        documented().run(fake_ports.run(CLOCK))


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(tenant("a"), id="the same token parameter"),
        pytest.param(tenant("a", parameter_name="/a/token/status"), id="the other's status"),
        pytest.param(tenant("b", name="a"), id="the same name"),
        pytest.param(tenant("a", parameter_name="/rotations/x"), id="the place of a document"),
    ],
)
def test_conflicting_document_fails_and_other_is_rotated(second: dict[str, Any]) -> None:
    summary = documented(a=tenant("a"), b=second).run(fake_ports.run(CLOCK))
    assert sorted(r.outcome.value for r in summary.results) == ["failed", "rotated"]


def test_names_select_among_documents() -> None:
    summary = documented(a=tenant("a"), b=tenant("b")).run(fake_ports.run(CLOCK), ["b"])
    assert fake_ports.names(summary.results) == ["b"]


@pytest.mark.parametrize(
    ("token_lifetime", "seconds", "outcome", "warnings"),
    [
        (86_400, DAY, "rotated", 0),
        (3600, DAY, "failed", 0),
        (7200, 3 * 3600, "rotated", 0),
        (28_800, DAY, "rotated", 1),
        (None, 300 * DAY, "rotated", 0),
    ],
)
def test_run_knows_how_long_tokens_live(
    token_lifetime: int | None, seconds: int, outcome: str, warnings: int
) -> None:
    ports = fake_ports.ports(CLOCK, (200, {"access_token": "t", "expires_in": seconds}))
    settings = Settings(rotation=rotation(), token_lifetime=token_lifetime)
    summary = Rotator(settings=settings, ports=ports).run(fake_ports.run(CLOCK))
    assert ([r.outcome.value for r in summary.results], len(summary.warnings)) == ([outcome], warnings)


@pytest.mark.parametrize(("seconds", "outcome"), [(DAY, "rotated"), (41 * DAY, "failed")])
def test_tokens_needs_path_may_outlive_the_shortest_lived(seconds: int, outcome: str) -> None:
    rotator = documented(a=tenant("a"))
    rotator = replace(rotator, settings=replace(rotator.settings, token_lifetime=1800))
    endpoint = rotator.ports.token_endpoint
    endpoint.answers.append((200, {"access_token": "t", "expires_in": seconds}))  # type: ignore[attr-defined]
    summary = rotator.run(fake_ports.run(CLOCK))
    assert ([r.outcome.value for r in summary.results], summary.warnings) == ([outcome], ())


BROKEN: dict[str, Any] = {
    "no JSON": "{",
    "no object": "[]",
    "no secret": {"parameter_name": "/x/token"},
    "no parameter": {"secret_id": "healthwise/client"},
    "unknown key": tenant("x", secretid="x"),
    "illegal name": tenant("x", name="a b/c"),
    "illegal parameter": tenant("x", parameter_name="no path"),
    "http": tenant("x", token_endpoint="http://auth.example.test/token"),
    "another host": tenant("x", token_endpoint="https://elsewhere.example.test/token"),
    "the parameter of another": tenant("r500"),
}
"""Documents that are invalid in ten different ways."""


def test_broken_documents_among_1000_fail_with_distinct_reasons() -> None:
    good = {f"r{number:03}": tenant(f"r{number:03}") for number in range(990)}
    rotator = documented(**good, **{f"z{n}": broken for n, broken in enumerate(BROKEN.values())})
    hosts = frozenset({"auth.healthwise.net", "auth.example.test"})
    rotator = replace(rotator, settings=replace(rotator.settings, allowed_hosts=hosts))
    summary = rotator.run(fake_ports.run(CLOCK))
    reported = summary.to_dict()
    assert (reported["rotated"], reported["failed"], summary.failed) == (990, 10, True)
    reasons = {result.name: result.error for result in summary.results if result.error}
    assert reasons.keys() == {f"z{number}" for number in range(10)}
    assert len(set(reasons.values())) == 10
    assert all(
        f"z{n}" in str(reason) or "belongs to" in str(reason) for n, reason in enumerate(reasons.values())
    )


def test_a_document_that_is_encrypted_is_refused() -> None:
    rotator = documented(a=tenant("a"))
    parameters = rotator.ports.parameters.parameters  # type: ignore[attr-defined]
    parameters["/rotations/b"] = Parameter(value="x", version=1, type="SecureString")
    summary = rotator.run(fake_ports.run(CLOCK))
    assert "/rotations/b is a parameter of type SecureString" in str(summary.results[1].error)
