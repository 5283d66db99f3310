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


def reported(entered: Registry) -> dict[str, str]:
    """What is wrong with which documents, by the names under which they are known."""
    return {name: str(error) for name, error in entered.fleet().broken}


BROKEN = Parameter(value="{", version=1, type="String")


def test_documents_of_all_pages_become_rotations_in_name_order() -> None:
    entered = read({"b": document("/b"), "c": document("/c", name="other"), "a": document("/a")})
    assert fake_ports.names(entered.fleet().rotations) == ["a", "b", "other"]
    assert entered.fleet().broken == ()
    assert entered.names == {f"{PATH}/a": "a", f"{PATH}/b": "b", f"{PATH}/c": "other"}
    assert entered.places == {"a": f"{PATH}/a", "b": f"{PATH}/b", "other": f"{PATH}/c"}


def test_broken_document_is_named_by_its_path_and_fails_alone() -> None:
    entered = read({"a": document("/a"), "team/b": BROKEN, "c": document("/c")})
    assert fake_ports.names(entered.fleet().rotations) == ["a", "c"]
    assert [name for name, _ in entered.fleet().broken] == ["team.b"]
    assert "is not a JSON object" in reported(entered)["team.b"]
    assert entered.documents_of("team.b") == [f"{PATH}/team/b"]
    assert entered.places.keys() == {"a", "c"}


def test_second_document_of_equal_name_is_refused() -> None:
    entered = read({"b": document("/b", name="a"), "a": document("/a")})
    assert entered.rotations["a"].parameter_name == "/a"
    assert reported(entered) == {
        "b": f"two rotation documents have the name a: {PATH}/a and {PATH}/b; "
        "set another name in one of the two"
    }


def test_documents_of_equal_name_are_both_found_by_name() -> None:
    entered = read({"team.b": document("/one"), "team/b": document("/two"), "c": document("/c")})
    assert entered.documents_of("team.b") == [f"{PATH}/team.b", f"{PATH}/team/b"]
    assert entered.documents_of("missing") == []


@pytest.mark.parametrize(
    ("parameter", "taken"),
    [("/token", "/token"), ("/token/status", "/token/status"), ("/token/status/status", None)],
)
def test_parameter_belongs_to_the_first_rotation_writing_it(parameter: str, taken: str | None) -> None:
    entered = read({"a": document("/token"), "b": document(parameter)})
    problem = f"the parameter {taken} already belongs to the rotation a; set parameter_name to another name"
    assert reported(entered) == ({"b": problem} if taken else {})


def test_parameter_conflict_of_nonadjacent_documents_is_refused() -> None:
    entered = read({"a": document("/a"), "b": document("/b"), "c": document("/a")})
    assert reported(entered).keys() == {"c"}


def test_status_parameter_that_is_another_token_is_refused() -> None:
    entered = read({"a": document("/token/status"), "b": document("/token")})
    assert reported(entered)["b"].startswith("the parameter /token/status already belongs to the rotation a")


def test_token_parameter_under_documents_path_is_refused() -> None:
    entered = read({"a": document(f"{PATH}/token"), "b": document(f"{PATH}-tokens/b")})
    assert reported(entered) == {
        "a": f"the parameter {PATH}/token is under {PATH}, which is only for rotation documents; "
        "set parameter_name to a name outside /rotations"
    }


def test_only_documents_of_allowed_hosts_become_rotations() -> None:
    documents = {"a": document("/a"), "b": document("/b", token_endpoint="https://good.example.test/")}
    entered = read(documents, frozenset({"good.example.test"}))
    assert fake_ports.names(entered.fleet().rotations) == ["b"]
    assert entered.allowed_hosts == {"good.example.test"}
    assert fake_ports.names(Registry(PATH).rotations.values()) == []


def test_new_document_is_checked_but_not_registered() -> None:
    entered = read({"a": document("/a")}, frozenset({"auth.healthwise.net"}))
    assert entered.judge(f"{PATH}/b", document("/b")).name == "b"
    for parameter in (document("/a"), document("/b", name="a"), BROKEN):
        with pytest.raises(SettingsError):
            entered.judge(f"{PATH}/b", parameter)
    with pytest.raises(SettingsError):
        entered.judge(f"{PATH}/b", document("/b", token_endpoint="https://elsewhere.example.test/"))
    assert entered.names == {f"{PATH}/a": "a"}
    assert entered.refused == {}


def test_register_without_document_frees_name_and_parameter() -> None:
    elsewhere = document("/c", token_endpoint="https://elsewhere.example.test/")
    documents = {"a": document("/a"), "b": document("/b"), "c": elsewhere}
    entered = read(documents, frozenset({"auth.healthwise.net"}))
    others = entered.without(f"{PATH}/a")
    assert (list(others.rotations), others.path) == (["b"], PATH)
    assert others.allowed_hosts == entered.allowed_hosts
    assert others.judge(f"{PATH}/d", document("/a", name="a")).name == "a"
    assert entered.rotations.keys() == {"a", "b"}


def test_rotation_is_reported_before_next_page_is_read() -> None:
    found: list[Rotation] = []
    seen: list[list[str]] = []

    def pages() -> Any:
        for name in ("b", "a"):
            seen.append(fake_ports.names(found))
            yield {f"{PATH}/{name}": document("/same"), f"{PATH}/{name}-broken": BROKEN}

    entered = registry.read(PATH, pages(), ANY_HOST, found.append)
    assert seen == [[], ["b"]]
    assert fake_ports.names(found) == ["b", "a"]
    assert entered.rotations.keys() == {"a"}, "it may be called for some that are then refused"


def test_parameter_named_by_a_broken_document_is_refused() -> None:
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
            f"the parameter {names} is also named by the invalid rotation document {PATH}/{by}; "
            f"fix or remove {PATH}/{by} first, or set parameter_name to another name"
        )
    for parameter in ("/three", "/four"):
        entered.check_not_named(fake_ports.rotation(parameter_name=parameter))


def test_default_kms_key_applies_to_documents_without_a_key() -> None:
    pages = [{f"{PATH}/a": document("/a"), f"{PATH}/b": document("/b", kms_key_id="alias/own")}]
    entered = registry.read(PATH, pages, ANY_HOST, kms_key_id="alias/all")
    assert {name: each.kms_key_id for name, each in entered.rotations.items()} == {
        "a": "alias/all",
        "b": "alias/own",
    }
    assert entered.judge(f"{PATH}/c", document("/c")).kms_key_id == "alias/all"
    assert entered.without(f"{PATH}/b").judge(f"{PATH}/c", document("/c")).kms_key_id == "alias/all"
    assert entered.without(f"{PATH}/b").rotations["a"].kms_key_id == "alias/all"


def test_name_conflict_error_names_both_documents() -> None:
    entered = read({"a": document("/a")})
    with pytest.raises(
        SettingsError, match=f"two rotation documents have the name a: {PATH}/a and {PATH}/b;"
    ):
        entered.judge(f"{PATH}/b", document("/b", name="a"))


ELEVEN = [f"tenant-{number:02}" for number in range(11)]


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("a", [], "add the rotation with `rotator add`"),
        ("tenant-*", ["tenant-a"], "give full names: only `rotator status` accepts patterns"),
        ("tenant-?", ["tenant-a"], "give full names: only `rotator status` accepts patterns"),
        ("tenant-[a]", ["tenant-a"], "give full names: only `rotator status` accepts patterns"),
        ("TENANT-X", ["other"], "name one of: other"),
        ("tenat", ["tenant", "tenan"], "did you mean tenant or tenan?"),
        ("qqqq", ELEVEN[:10], f"name one of: {', '.join(ELEVEN[:10])}"),
        ("qqqq", ELEVEN, f"name one of: {', '.join(ELEVEN[:10])} and 1 more"),
        (
            "tenant",
            ["tenant1", "tenant2", "tenant3", "tenant4"],
            "did you mean tenant4 or tenant3 or tenant2?",
        ),
    ],
)
def test_advice_for_an_unknown_name(name: str, known: list[str], advice: str) -> None:
    assert registry.unknown(name, known).advice == advice


def test_pattern_that_matches_none_names_the_known_rotations() -> None:
    assert registry.unknown("q*", ["tenant-a"], patterns=True).advice == "name one of: tenant-a"
