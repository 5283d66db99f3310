"""Which rotations documents stand for, and which of them get in each other's way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

import fake_ports
from multiple_rotations import PATH
from rotator.config import registry
from rotator.config.registry import Registry
from rotator.errors import SettingsError
from rotator.renewal.models import Parameter, Rotation

ANY_HOST: frozenset[str] = frozenset()


def document(parameter_name: str, **more: Any) -> Parameter:
    text = json.dumps({"secret_id": "client", "parameter_name": parameter_name, **more})
    return Parameter(value=text, version=1, type="String")


def read(documents: Mapping[str, Parameter], allowed_hosts: frozenset[str] = ANY_HOST) -> Registry:
    pages = [{f"{PATH}/{name}": parameter} for name, parameter in documents.items()]
    return registry.read(PATH, pages, allowed_hosts)


def told(entered: Registry) -> dict[str, str]:
    """What is wrong with which documents, by the names under which they are known."""
    return {name: str(error) for name, error in entered.fleet().broken}


BROKEN = Parameter(value="{", version=1, type="String")


def test_every_document_of_every_page_is_a_rotation_in_the_order_of_their_names() -> None:
    entered = read({"b": document("/b"), "c": document("/c", name="other"), "a": document("/a")})
    assert fake_ports.names(entered.fleet().rotations) == ["a", "b", "other"]
    assert entered.fleet().broken == ()
    assert entered.names == {f"{PATH}/a": "a", f"{PATH}/b": "b", f"{PATH}/c": "other"}
    assert entered.places == {"a": f"{PATH}/a", "b": f"{PATH}/b", "other": f"{PATH}/c"}


def test_a_broken_document_is_known_by_the_name_of_its_place_and_fails_alone() -> None:
    entered = read({"a": document("/a"), "team/b": BROKEN, "c": document("/c")})
    assert fake_ports.names(entered.fleet().rotations) == ["a", "c"]
    assert [name for name, _ in entered.fleet().broken] == ["team.b"]
    assert "is not a JSON object" in told(entered)["team.b"]
    assert entered.documents_of("team.b") == [f"{PATH}/team/b"]
    assert entered.places.keys() == {"a", "c"}


def test_of_two_documents_with_one_name_the_first_counts() -> None:
    entered = read({"b": document("/b", name="a"), "a": document("/a")})
    assert entered.rotations["a"].parameter_name == "/a"
    assert told(entered) == {
        "b": f"two documents are named a: {PATH}/a and {PATH}/b; name one of them otherwise"
    }


def test_both_documents_of_a_name_are_found_by_it() -> None:
    entered = read({"team.b": document("/one"), "team/b": document("/two"), "c": document("/c")})
    assert entered.documents_of("team.b") == [f"{PATH}/team.b", f"{PATH}/team/b"]
    assert entered.documents_of("nobody") == []


@pytest.mark.parametrize(
    ("parameter", "taken"),
    [("/token", "/token"), ("/token/status", "/token/status"), ("/token/status/status", None)],
)
def test_a_parameter_belongs_to_the_first_that_writes_it(parameter: str, taken: str | None) -> None:
    entered = read({"a": document("/token"), "b": document(parameter)})
    problem = f"the parameter {taken} belongs to the rotation a already; set parameter_name to another name"
    assert told(entered) == ({"b": problem} if taken else {})


def test_a_parameter_belongs_to_it_however_many_come_between() -> None:
    entered = read({"a": document("/a"), "b": document("/b"), "c": document("/a")})
    assert told(entered).keys() == {"c"}


def test_what_a_rotation_writes_as_its_status_is_nobodys_either() -> None:
    entered = read({"a": document("/token/status"), "b": document("/token")})
    assert told(entered)["b"].startswith("the parameter /token/status belongs to the rotation a already")


def test_no_token_is_written_among_the_documents() -> None:
    entered = read({"a": document(f"{PATH}/token"), "b": document(f"{PATH}-tokens/b")})
    assert told(entered) == {
        "a": f"the parameter {PATH}/token would stand among the documents under {PATH}; "
        "set parameter_name to a name elsewhere"
    }


def test_only_allowed_hosts_are_taken() -> None:
    documents = {"a": document("/a"), "b": document("/b", token_endpoint="https://good.example.test/")}
    entered = read(documents, frozenset({"good.example.test"}))
    assert fake_ports.names(entered.fleet().rotations) == ["b"]
    assert entered.allowed_hosts == {"good.example.test"}
    assert fake_ports.names(Registry(PATH).rotations.values()) == []


def test_a_document_is_judged_by_those_that_are_entered_and_is_not_entered() -> None:
    entered = read({"a": document("/a")}, frozenset({"auth.healthwise.net"}))
    assert entered.judge(f"{PATH}/b", document("/b")).name == "b"
    for parameter in (document("/a"), document("/b", name="a"), BROKEN):
        with pytest.raises(SettingsError):
            entered.judge(f"{PATH}/b", parameter)
    with pytest.raises(SettingsError):
        entered.judge(f"{PATH}/b", document("/b", token_endpoint="https://elsewhere.example.test/"))
    assert entered.names == {f"{PATH}/a": "a"}
    assert entered.refused == {}


def test_a_register_without_a_document_has_room_for_what_that_stood_for() -> None:
    elsewhere = document("/c", token_endpoint="https://elsewhere.example.test/")
    documents = {"a": document("/a"), "b": document("/b"), "c": elsewhere}
    entered = read(documents, frozenset({"auth.healthwise.net"}))
    others = entered.without(f"{PATH}/a")
    assert (list(others.rotations), others.path) == (["b"], PATH)
    assert others.allowed_hosts == entered.allowed_hosts
    assert others.judge(f"{PATH}/d", document("/a", name="a")).name == "a"
    assert entered.rotations.keys() == {"a", "b"}


def test_a_rotation_is_told_when_its_document_is_read_while_the_next_page_is_still_to_come() -> None:
    found: list[Rotation] = []
    seen: list[list[str]] = []

    def pages() -> Any:
        for name in ("b", "a"):
            seen.append(fake_ports.names(found))
            yield {f"{PATH}/{name}": document("/same"), f"{PATH}/{name}-broken": BROKEN}

    entered = registry.read(PATH, pages(), ANY_HOST, found.append)
    assert seen == [[], ["b"]]
    assert fake_ports.names(found) == ["b", "a"]
    assert entered.rotations.keys() == {"a"}, "it may be told of some that are then refused"


def test_a_parameter_that_a_broken_document_names_is_not_given_away() -> None:
    broken = {"a": document("/one", renew_at=7), "b": document("/two", renew_at=7), "c": BROKEN}
    entered = read({**broken, "d": document("/four")})
    for parameter, names, by in (
        ("/one", "/one", "a"),
        ("/two", "/two", "b"),
        ("/two/status", "/two/status", "b"),
    ):
        with pytest.raises(SettingsError) as caught:
            entered.check_not_named(fake_ports.rotation(parameter_name=parameter))
        assert str(caught.value) == (
            f"the parameter {names} is named by the document {PATH}/{by}, which cannot be used; "
            "mend or remove that first, or set parameter_name to another name"
        )
    for parameter in ("/three", "/four"):
        entered.check_not_named(fake_ports.rotation(parameter_name=parameter))


def test_the_key_of_all_is_that_of_documents_that_name_none() -> None:
    pages = [{f"{PATH}/a": document("/a"), f"{PATH}/b": document("/b", kms_key_id="alias/own")}]
    entered = registry.read(PATH, pages, ANY_HOST, kms_key_id="alias/all")
    assert {name: each.kms_key_id for name, each in entered.rotations.items()} == {
        "a": "alias/all",
        "b": "alias/own",
    }
    assert entered.judge(f"{PATH}/c", document("/c")).kms_key_id == "alias/all"
    assert entered.without(f"{PATH}/b").judge(f"{PATH}/c", document("/c")).kms_key_id == "alias/all"
    assert entered.without(f"{PATH}/b").rotations["a"].kms_key_id == "alias/all"


def test_a_document_that_is_judged_is_named_beside_the_one_that_has_its_name() -> None:
    entered = read({"a": document("/a")})
    with pytest.raises(SettingsError, match=f"two documents are named a: {PATH}/a and {PATH}/b;"):
        entered.judge(f"{PATH}/b", document("/b", name="a"))
