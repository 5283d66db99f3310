"""Workers serve what they are asked for, on fakes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fakes
from rotator import bootstrap
from rotator.errors import ParameterStoreError, TokenEndpointUnavailable
from rotator.memory import STAYS_DOWN
from rotator.model import (
    HEALTHWISE_TOKEN_ENDPOINT,
    Rotation,
    Secret,
)
from workshop import NAMES, PATH, Workshop, document, outcomes


def test_workers_serve_what_they_are_asked_for_and_nothing_else() -> None:
    shop = Workshop("a", "b", "c")
    assert outcomes(shop.work("a", "c")) == {"a": "rotated", "c": "rotated"}
    assert "/tokens/b" not in shop.ports.parameters.parameters


def test_a_worker_does_not_tell_the_least_life_of_all_nor_any_by_name() -> None:
    assert Workshop("a", "b").work("a").left_out > 10


def test_a_worker_reads_the_documents_of_its_rotations_and_not_the_whole_path() -> None:
    shop = Workshop("a", "team.b")
    shop.write("team/c", document("c"))

    def unread(path: str, **_patience: object) -> Any:
        raise AssertionError(path)

    shop.ports.parameters.read_path = unread  # type: ignore[method-assign]
    assert outcomes(shop.work("a", "team.b", "team.c")) == dict.fromkeys(["a", "team.b", "team.c"], "rotated")


def test_a_worker_has_no_more_patience_with_one_message_than_with_ten() -> None:
    shop = Workshop("a", "b")
    shop.ports.token_endpoint.answers.extend([(503, {})] * 100)
    began = shop.clock.now()
    assert outcomes(shop.work("a")) == {"a": "failed"}
    assert shop.clock.now() - began <= timedelta(seconds=11)


def test_a_host_that_is_down_is_contacted_once_for_batch_after_batch() -> None:
    shop = Workshop(*NAMES)
    endpoint = shop.ports.token_endpoint
    endpoint.down.add(HEALTHWISE_TOKEN_ENDPOINT)
    for start in range(0, 20, 10):
        assert set(outcomes(shop.work(*NAMES[start : start + 10])).values()) == {"failed"}
        shop.clock.sleep(10)
    assert outcomes(shop.work(NAMES[20])) == {NAMES[20]: "failed"}  # one that comes alone knows it, too
    assert len(endpoint.contacts) == 1
    assert shop.ports.parameters.writes == []
    shop.clock.sleep(30)
    endpoint.down.clear()
    assert set(outcomes(shop.work(*NAMES[:10])).values()) == {"rotated"}
    assert len(endpoint.contacts) == 2


def test_a_worker_that_is_asked_for_many_reads_ten_documents_a_call() -> None:
    shop = Workshop(*NAMES)
    sizes: list[int] = []
    read = shop.ports.parameters.read

    def watched(names: Any) -> Any:
        sizes.append(len(names))
        return read(names)

    def unread(path: str, **_patience: object) -> Any:
        raise AssertionError(path)

    shop.ports.parameters.read = watched  # type: ignore[method-assign]
    shop.ports.parameters.read_path = unread  # type: ignore[method-assign]
    assert outcomes(shop.work(*NAMES)) == dict.fromkeys(NAMES, "rotated")
    assert sizes[:3] == [10, 10, 5]


def at(host: str, *names: str) -> dict[str, str]:
    """Documents of rotations at addresses of their own at a host."""
    return {name: document(name, token_endpoint=f"https://{host}/{name}/token") for name in names}


def test_an_address_that_refused_strangers_says_nothing_of_others_at_its_host() -> None:
    shop = Workshop()
    for name, text in at("idp.example.test", "a1", "b1").items():
        shop.write(name, text)
        shop.write(f"{name}x", document(f"{name}x", token_endpoint=f"https://idp.example.test/{name}/token"))
    refused = TokenEndpointUnavailable("HTTP 429", advice="wait")
    refused.answered = True
    endpoint = shop.ports.token_endpoint
    contact, request = endpoint.contact, endpoint.request

    def refuse_contacts_of_a(url: str, *, time_left: Any) -> None:
        contact(url, time_left=time_left)
        if "/a1/" in url:
            raise refused

    def refuse_a(asked: Any, **time: Any) -> Any:
        if "/a1/" in asked.url:
            raise refused
        return request(asked, **time)

    endpoint.contact = refuse_contacts_of_a  # type: ignore[method-assign]
    endpoint.request = refuse_a  # type: ignore[assignment,method-assign]
    assert set(outcomes(shop.work("a1", "a1x")).values()) == {"failed"}
    endpoint.contacts.clear()
    assert outcomes(shop.work("b1", "b1x")) == {"b1": "rotated", "b1x": "rotated"}
    assert endpoint.contacts == ["https://idp.example.test/b1/token"]


def test_a_host_that_nobody_reached_is_down_for_all_its_addresses() -> None:
    documents = at("idp.example.test", "a1", "a2", "b1", "b2")
    shop = Workshop()
    for name, text in documents.items():
        shop.write(name, text)
    shop.ports.token_endpoint.down.update(f"https://idp.example.test/{name}/token" for name in documents)
    shop.work("a1", "a2")
    assert set(outcomes(shop.work("b1", "b2")).values()) == {"failed"}
    assert len(shop.ports.token_endpoint.contacts) == 1


def test_what_another_run_found_down_is_told_as_that() -> None:
    shop = Workshop("a", "b")
    shop.ports.token_endpoint.down.add(HEALTHWISE_TOKEN_ENDPOINT)
    (first, _), (again, _) = shop.work("a", "b").results, shop.work("a", "b").results
    assert str(first.error).startswith("the endpoint could not be reached")
    assert str(again.error).startswith("not requested, since a moment ago: the endpoint could not be reached")


def test_a_host_that_answered_is_not_remembered_as_down_whatever_it_answered() -> None:
    shop = Workshop("a")
    memory, down = shop.rotator.memory, TokenEndpointUnavailable("down", advice="wait")
    down.connected = True
    for place in (True, False):
        memory.remember_down(HEALTHWISE_TOKEN_ENDPOINT, down, shop.clock.now(), whole_host=place)
    shop.ports.token_endpoint.answers.append((400, {"error": "invalid_scope"}))
    assert outcomes(shop.work("a")) == {"a": "failed"}
    assert memory.down == {}


def test_a_dry_run_forgets_nothing_of_what_is_down() -> None:
    shop = Workshop("a")
    memory, down = shop.rotator.memory, TokenEndpointUnavailable("down", advice="wait")
    memory.remember_down(HEALTHWISE_TOKEN_ENDPOINT, down, shop.clock.now(), whole_host=True)
    shop.rotator.run(fakes.run(shop.clock), dry_run=True)
    assert memory.down.keys() == {"auth.healthwise.net:443"}


def test_what_was_down_long_ago_is_forgotten_and_a_lone_rotation_is_not_contacted() -> None:
    shop = Workshop("a")
    memory, down = shop.rotator.memory, TokenEndpointUnavailable("down", advice="wait")
    memory.remember_down(HEALTHWISE_TOKEN_ENDPOINT, down, shop.clock.now(), whole_host=True)
    shop.clock.sleep(STAYS_DOWN.total_seconds())
    assert outcomes(shop.work("a")) == {"a": "rotated"}
    assert shop.ports.token_endpoint.contacts == []


def test_what_is_remembered_of_a_host_keeps_nothing_of_the_run_alive() -> None:
    shop = Workshop("a", "b")
    shop.ports.token_endpoint.down.add(HEALTHWISE_TOKEN_ENDPOINT)
    for _ in range(2):  # found, and told again
        shop.work("a", "b")
        (known,) = shop.rotator.memory.down.values()
        assert [known.error.__traceback__, known.error.__cause__, known.error.__context__] == [None] * 3


def test_a_rotation_that_its_document_names_otherwise_is_found_all_the_same() -> None:
    shop = Workshop("a")
    shop.write("document-7", document("b", name="b"))
    assert outcomes(shop.work("a", "b")) == {"a": "rotated", "b": "rotated"}


@pytest.mark.parametrize("own", [None, "alias/own"])
def test_a_worker_stores_a_token_under_the_key_of_all_unless_the_document_has_its_own(
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


def test_a_rotation_that_is_not_there_is_no_outcome_but_a_warning() -> None:
    shop = Workshop("a")
    summary = shop.work("gone", "a")
    assert outcomes(summary) == {"a": "rotated"}
    assert summary.warnings == (
        "message gone: there is no rotation named gone; it may have been deleted since",
    )


def test_where_no_document_is_left_a_worker_says_so_and_does_nothing() -> None:
    assert outcomes(Workshop().work("gone")) == {}


def test_a_document_that_broke_meanwhile_fails_alone() -> None:
    shop = Workshop("a")
    shop.write("bad", "{")
    assert outcomes(shop.work("a", "bad")) == {"a": "rotated", "bad": "failed"}


def test_a_worker_that_may_not_read_the_documents_fails_as_a_whole() -> None:
    shop = Workshop("a")
    shop.ports.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError):
        shop.work("a")


@pytest.mark.parametrize("name", ["a..b", ".a", "a.", "." * 64, "a" + ".b" * 20])
def test_a_name_that_no_path_can_have_does_not_fail_the_others(name: str) -> None:
    shop = Workshop("good")
    asked: list[str] = []
    read = shop.ports.parameters.read

    def legal(names: Any) -> Any:
        asked.extend(names)
        return read(names)

    shop.ports.parameters.read = legal  # type: ignore[method-assign]
    assert outcomes(shop.work("good", name)) == {"good": "rotated"}
    assert not [each for each in asked if "//" in each or each.endswith("/") or each.count("/") > 15]


def test_each_of_several_workers_keeps_its_part_of_the_pace() -> None:
    one = {"ROTATOR_ROTATIONS_PATH": PATH, "ROTATOR_WRITES_PER_SECOND": "6"}
    three = {**one, "ROTATOR_QUEUE_URL": "https://queue.example/work", "ROTATOR_WORKERS": "3"}
    waits: list[float] = []
    for environ in (one, three):
        pace = bootstrap.build(environ).pace
        pace._clock, pace._sleep = (lambda: 0.0), waits.append
        assert pace.wait_for_renewal(10)
        assert pace.wait_for_renewal(10)
    assert waits == [0.5, 1.5]
