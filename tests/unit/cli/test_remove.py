"""``rotator remove`` in memory: the deleted documents, and the report on the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from multiple_rotations import PATH, MultipleRotations, document
from rotator.cli import remove
from rotator.errors import ParameterStoreError
from rotator.fleet.write_rate import WriteRate
from rotator.replication.region_copies import Replica

DENIED = ParameterStoreError("deleting failed: AccessDeniedException", advice="allow it")


def test_remove_keeps_token_and_prints_its_delete_command(command: Any) -> None:
    multiple = MultipleRotations(a=document("a"), b=document("b"))
    multiple.token("a", hours_left=3)
    done = command(multiple, "remove", "a", "--yes")
    assert (done.exit_code, done.stderr, list(multiple.texts())) == (0, "", ["b"])
    assert "removed a (/rotations/a)\n" in done.stdout
    assert "aws ssm delete-parameters --names /a/token /a/token/status /a/token/lease\n" in done.stdout
    assert multiple.ports.parameters.read(["/a/token", "/a/token/status"]).keys() == {
        "/a/token",
        "/a/token/status",
    }
    assert "No rotation is left" not in done.stdout


def test_remove_names_the_regions_of_replicas_that_stay(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiple = MultipleRotations(a=document("x"), b=document("x"))
    replica = Replica(region="eu-west-1", open=pytest.fail, write_rate=WriteRate(1))
    multiple.rotator = replace(multiple.rotator, replicas=(replica,))
    assert "replicas" not in command(multiple, "remove", "a", "--yes").stdout, "b still renews the token"
    done = command(multiple, "remove", "b", "--yes")
    assert "The replicas in eu-west-1 stay, too: repeat the command with --region eu-west-1.\n" in done.stdout


def test_remove_keeps_token_taken_over_by_another_rotation(command: Any) -> None:
    multiple = MultipleRotations(a=document("x"), b=document("x"), c=document("c"))
    done = command(multiple, "remove", "a", "c", "--yes")
    assert "aws ssm delete-parameters --names /c/token /c/token/status /c/token/lease\n" in done.stdout
    assert "delete-parameters --names /x/token" not in done.stdout
    assert (
        "From now on b is renewed in /x/token; until now its document /rotations/b was refused."
        in done.stdout
    )
    assert [(each.name, each.parameter_name) for each in multiple.rotator.fleet().rotations] == [
        ("b", "/x/token")
    ]


def test_remove_of_all_users_of_a_parameter_prints_its_deletion(command: Any) -> None:
    done = command(
        MultipleRotations(a=document("x"), b=document("x"), c=document("c")), "remove", "a", "b", "--yes"
    )
    assert "delete-parameters --names /x/token /x/token/status /x/token/lease\n" in done.stdout
    assert "From now on" not in done.stdout


def test_remove_reports_document_taking_over_the_name(command: Any) -> None:
    multiple = MultipleRotations(a=document("x"), z=document("y", name="a"))
    done = command(multiple, "remove", "/rotations/a", "--yes")
    assert "delete-parameters --names /x/token /x/token/status /x/token/lease\n" in done.stdout
    assert (
        "From now on a is renewed in /y/token; until now its document /rotations/z was refused."
        in done.stdout
    )


def test_remove_reports_document_refused_after_takeover(command: Any) -> None:
    multiple = MultipleRotations(a=document("x"), b=document("x", name="c"), c=document("c"))
    done = command(multiple, "remove", "a", "--yes")
    assert "From now on c is renewed in /x/token" in done.stdout
    assert (
        "From now on the document /rotations/c is refused: two rotation documents have the name c"
        in done.stdout
    )


def test_remove_keeps_token_named_by_a_broken_document(command: Any) -> None:
    multiple = MultipleRotations(a=document("x"), b=document("x", renew_at=7), c=document("c"))
    done = command(multiple, "remove", "a", "--yes")
    assert "delete-parameters" not in done.stdout
    assert "/x/token is also named by /rotations/b, which cannot be used: fix or remove it." in done.stdout


def test_changed_parameter_reports_rotation_taking_over_the_old(command: Any) -> None:
    multiple = MultipleRotations(a=document("x"), b=document("x"))
    given = ("--secret-id", "healthwise/client", "--parameter-name", "/y/token")
    done = command(multiple, "add", "a", *given, "--replace", "--no-check")
    assert (done.exit_code, "No rotation renews" in done.stdout) == (0, False)
    assert "From now on b is renewed in /x/token; until now its document was refused." in done.stdout


def test_remove_prints_deletions_of_ten_parameters_each(command: Any) -> None:
    multiple = MultipleRotations(**{f"t{number}": document(f"t{number}") for number in range(6)})
    done = command(multiple, "remove", *multiple.texts(), "--yes")
    lines = [line.split() for line in done.stdout.splitlines() if "delete-parameters" in line]
    assert [len(line) - 4 for line in lines] == [10, 8]
    assert "No rotation is left under /rotations" in done.stdout


@pytest.mark.parametrize(
    ("name", "place", "fields"),
    [
        ("bad", "bad", "{"),
        ("team.bad", "team/bad", "{"),
        ("/rotations/team/bad", "team/bad", "{"),
        ("no good", "no good", "{"),
    ],
)
def test_broken_document_is_removed_by_its_reported_name(
    name: str, place: str, fields: str, command: Any
) -> None:
    multiple = MultipleRotations(**{place: fields, "good": document("good")})
    done = command(multiple, "remove", name, "--yes")
    assert (done.exit_code, list(multiple.texts())) == (0, ["good"])
    assert "delete-parameters" not in done.stdout


def test_documents_of_equal_name_are_removed_by_parameter_name(command: Any) -> None:
    multiple = MultipleRotations(**{"a.b": document("x"), "a/b": document("y")})
    refused = command(multiple, "remove", "a.b", "--yes")
    assert (refused.exit_code, len(multiple.texts())) == (2, 2)
    assert "several documents have the name a.b: /rotations/a.b, /rotations/a/b" in refused.stderr
    done = command(multiple, "remove", "/rotations/a/b", "--yes")
    assert (done.exit_code, list(multiple.texts())) == (0, ["a.b"])
    assert "delete-parameters" not in done.stdout  # the good one's token is still renewed


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("tenant-x", "did you mean tenant-a"),
        ("q", "name one of: other, tenant-a"),
        ("tenant-*", "give full names: only `rotator status` accepts patterns"),
        ("/rotations/q", "name one of"),
    ],
)
def test_an_unknown_name_is_refused_and_nothing_is_removed(name: str, advice: str, command: Any) -> None:
    multiple = MultipleRotations(**{"tenant-a": document("a"), "other": document("o")})
    done = command(multiple, "remove", "other", name, "--yes")
    assert (done.exit_code, len(multiple.texts())) == (2, 2)
    assert f"there is no rotation named {name!r}; {advice}" in done.stderr


def test_remove_without_terminal_requires_yes_option(command: Any) -> None:
    multiple = MultipleRotations(a=document("a"))
    done = command(multiple, "remove", "a", answer="y\n")
    assert (done.exit_code, list(multiple.texts())) == (2, ["a"])
    assert "give --yes" in done.stderr


def test_denied_removal_fails_and_others_are_removed(command: Any) -> None:
    multiple = MultipleRotations(a=document("a"), b=document("b"))
    multiple.documents.fails[f"{PATH}/a"] = DENIED
    done = command(multiple, "remove", "a", "b", "--yes")
    assert (done.exit_code, list(multiple.texts())) == (1, ["a"])
    assert str(DENIED) in done.stderr
    assert "/a/token" not in done.stdout
    assert "/b/token" in done.stdout


def test_document_removed_by_another_operator_counts_as_removed(capsys: pytest.CaptureFixture[str]) -> None:
    multiple = MultipleRotations(a=document("a"))
    registry = multiple.rotator.registry()
    multiple.documents.delete(f"{PATH}/a")
    assert remove.remove(registry, [f"{PATH}/a"], multiple.documents) == [f"{PATH}/a"]
    assert "does not exist any more: a" in capsys.readouterr().out


def test_repeated_name_is_removed_once() -> None:
    registry = MultipleRotations(a=document("a")).rotator.registry()
    assert remove.chosen(registry, ["a", "a", f"{PATH}/a"]) == [f"{PATH}/a"]
