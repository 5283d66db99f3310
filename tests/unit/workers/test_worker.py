"""Workers serve what they are asked for, on fakes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet_with_workers import NAMES, PATH, Workshop, document, outcomes
from rotator import bootstrap
from rotator.errors import ParameterStoreError
from rotator.fleet.circuit_breaker import FAILURES_TO_OPEN
from rotator.oauth.models import Secret
from rotator.renewal.models import HEALTHWISE_TOKEN_ENDPOINT, Rotation


def test_worker_renews_only_the_requested_rotations() -> None:
    shop = Workshop("a", "b", "c")
    assert outcomes(shop.work("a", "c")) == {"a": "rotated", "c": "rotated"}
    assert "/tokens/b" not in shop.ports.parameters.parameters


def test_worker_summary_counts_more_than_ten_left_out() -> None:
    assert Workshop("a", "b").work("a").other_rotations is None


def test_worker_reads_its_documents_without_reading_the_path() -> None:
    shop = Workshop("a", "team.b")
    shop.write("team/c", document("c"))

    def unread(path: str, **_options: object) -> Any:
        raise AssertionError(path)

    shop.ports.parameters.read_path = unread  # type: ignore[method-assign]
    assert outcomes(shop.work("a", "team.b", "team.c")) == dict.fromkeys(["a", "team.b", "team.c"], "rotated")


def test_worker_has_short_retry_budget_for_one_rotation() -> None:
    shop = Workshop("a", "b")
    shop.ports.token_endpoint.answers.extend([(503, {})] * 100)
    began = shop.clock.now()
    assert outcomes(shop.work("a")) == {"a": "failed"}
    assert shop.clock.now() - began <= timedelta(seconds=11)


def test_unavailable_endpoint_gets_few_requests_per_batch() -> None:
    shop = Workshop(*NAMES)
    endpoint = shop.ports.token_endpoint
    endpoint.down.add(HEALTHWISE_TOKEN_ENDPOINT)
    for start in range(0, 20, 10):
        assert set(outcomes(shop.work(*NAMES[start : start + 10])).values()) == {"failed"}
    assert len(endpoint.requests) == 2 * FAILURES_TO_OPEN
    endpoint.down.clear()
    assert set(outcomes(shop.work(*NAMES[:10])).values()) == {"rotated"}


def test_worker_reads_ten_documents_per_call() -> None:
    shop = Workshop(*NAMES)
    sizes: list[int] = []
    read = shop.ports.parameters.read

    def watched(names: Any) -> Any:
        sizes.append(len(names))
        return read(names)

    def unread(path: str, **_options: object) -> Any:
        raise AssertionError(path)

    shop.ports.parameters.read = watched  # type: ignore[method-assign]
    shop.ports.parameters.read_path = unread  # type: ignore[method-assign]
    assert outcomes(shop.work(*NAMES)) == dict.fromkeys(NAMES, "rotated")
    assert sizes[:3] == [10, 10, 5]


def test_rotation_named_differently_from_its_path_is_found() -> None:
    shop = Workshop("a")
    shop.write("document-7", document("b", name="b"))
    assert outcomes(shop.work("a", "b")) == {"a": "rotated", "b": "rotated"}


@pytest.mark.parametrize("own", [None, "alias/own"])
def test_worker_uses_default_kms_key_unless_document_sets_one(
    own: str | None,
) -> None:
    shop, keys = Workshop(), []
    shop.write("a", document("a", kms_key_id=own))
    shop.rotator = replace(shop.rotator, settings=replace(shop.rotator.settings, kms_key_id="alias/all"))
    store = shop.ports.parameters.write_token

    def write(rotation: Rotation, token: Secret) -> int:
        keys.append(rotation.kms_key_id)
        return store(rotation, token)

    shop.ports.parameters.write_token = write  # type: ignore[method-assign]
    assert outcomes(shop.work("a")) == {"a": "rotated"}
    assert keys == [own or "alias/all"]


def test_missing_rotation_gives_a_warning_and_no_outcome() -> None:
    shop = Workshop("a")
    summary = shop.work("gone", "a")
    assert outcomes(summary) == {"a": "rotated"}
    assert summary.warnings == (
        "message gone: there is no rotation named gone; it may have been deleted since",
    )


def test_worker_without_documents_returns_no_outcomes() -> None:
    assert outcomes(Workshop().work("gone")) == {}


def test_invalid_document_fails_only_its_own_rotation() -> None:
    shop = Workshop("a")
    shop.write("bad", "{")
    assert outcomes(shop.work("a", "bad")) == {"a": "rotated", "bad": "failed"}


def test_unreadable_documents_fail_the_whole_batch() -> None:
    shop = Workshop("a")
    shop.ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError):
        shop.work("a")


@pytest.mark.parametrize("name", ["a..b", ".a", "a.", "." * 64, "a" + ".b" * 20])
def test_name_invalid_as_path_does_not_fail_other_rotations(name: str) -> None:
    shop = Workshop("good")
    asked: list[str] = []
    read = shop.ports.parameters.read

    def legal(names: Any) -> Any:
        asked.extend(names)
        return read(names)

    shop.ports.parameters.read = legal  # type: ignore[method-assign]
    assert outcomes(shop.work("good", name)) == {"good": "rotated"}
    assert not [each for each in asked if "//" in each or each.endswith("/") or each.count("/") > 15]


def test_workers_share_the_write_rate_equally() -> None:
    one = {"ROTATOR_ROTATIONS_PATH": PATH, "ROTATOR_WRITES_PER_SECOND": "6"}
    three = {**one, "ROTATOR_QUEUE_URL": "https://queue.example/work", "ROTATOR_WORKERS": "3"}
    delays: list[float] = []
    for environ in (one, three):
        rate = bootstrap.build(environ).write_rate
        assert rate
        rate._clock = lambda: 0.0
        rate.count_renewal()
        delays.append(rate.delay())
    assert delays == [0.5, 1.5]
