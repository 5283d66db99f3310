"""``rotator list`` in memory."""

from __future__ import annotations

import json
from typing import Any

from fake_ports import rotation
from multiple_rotations import MultipleRotations, document


def test_list_shows_rotations_then_broken_documents(command: Any) -> None:
    multiple = MultipleRotations(
        z=document("z"), a=document("a", token_endpoint="https://auth.example.test:8443/t"), bad="{"
    )
    done = command(multiple, "list")
    assert done.exit_code == 1
    assert [line.split() for line in done.stdout.splitlines()[:3]] == [
        ["rotation", "parameter", "secret", "endpoint"],
        ["a", "/a/token", "healthwise/client", "auth.example.test:8443"],
        ["z", "/z/token", "healthwise/client", "auth.healthwise.net"],
    ]
    assert done.stdout.splitlines()[3].startswith(
        "bad: the rotation document /rotations/bad is not a JSON object;"
    )
    assert multiple.ports.parameters.reads == 0  # no token, no status


def test_list_as_json_has_rotations_and_broken_documents(command: Any) -> None:
    done = command(MultipleRotations(a=document("a"), bad="{"), "list", "--json")
    reported = json.loads(done.stdout)
    assert (done.exit_code, reported["broken"][0]["name"]) == (1, "bad")
    assert reported["rotations"] == [
        {
            "name": "a",
            "parameter_name": "/a/token",
            "secret_id": "healthwise/client",
            "endpoint_host": "auth.healthwise.net",
        }
    ]


ARN = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:healthwise/{'client-' * 10}a:smile:-AbCdEf"


def test_list_without_terminal_does_not_fold_columns(command: Any) -> None:
    done = command(MultipleRotations(a=document("a", secret_id=ARN)), "list", columns=40)
    assert done.stdout.splitlines()[1].split() == ["a", "/a/token", ARN, "auth.healthwise.net"]


def test_list_without_broken_documents_exits_zero(command: Any) -> None:
    assert command(MultipleRotations(a=document("a")), "list").exit_code == 0


def test_list_shows_single_rotation_of_the_environment(command: Any) -> None:
    multiple = MultipleRotations().set(rotation=rotation(), rotations_path=None)
    done = command(multiple, "list")
    assert (done.exit_code, done.stdout.splitlines()[1].split()[0]) == (0, "default")


def test_list_of_empty_path_fails_and_suggests_add(command: Any) -> None:
    done = command(MultipleRotations(), "list")
    assert done.exit_code == 2
    assert "no rotation under /rotations; add one with `rotator add`" in done.stderr


def test_list_of_only_broken_documents_prints_no_table(command: Any) -> None:
    assert command(MultipleRotations(bad="{"), "list").stdout.startswith("bad: ")
