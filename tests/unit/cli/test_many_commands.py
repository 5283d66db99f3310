"""``rotator add``, ``remove`` and ``list`` in memory: the dry check, what is deleted, and what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from doctor_patient import healthy
from fake_ports import CANARY_SECRET, rotation
from multiple_rotations import PATH, MultipleRotations, document
from rotator import bootstrap
from rotator.bootstrap import Rotator
from rotator.cli import add, main, progress, remove, wiring
from rotator.cli.doctor import instruments
from rotator.doctor.context import Instruments
from rotator.errors import ParameterStoreError, Retry, RotatorError, SettingsError, TokenRequestError
from rotator.fleet.write_rate import WriteRate
from rotator.oauth.client_credentials import TokenResponse
from rotator.replication.region_copies import Replica

DENIED = ParameterStoreError("deleting failed: AccessDeniedException", advice="allow it")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on a fleet in memory."""

    def run(
        multiple: MultipleRotations,
        *args: str,
        answer: str | None = None,
        path: str = PATH,
        columns: int = 200,
    ) -> Result:
        def build(_environ: object) -> Rotator:
            return multiple.rotator

        monkeypatch.setattr(bootstrap, "build", build)
        monkeypatch.setattr(bootstrap, "utc_now", multiple.clock.now)
        monkeypatch.setattr(wiring, "document_store", lambda: multiple.documents)
        return CliRunner().invoke(
            main.main, args, input=answer, env={"ROTATOR_ROTATIONS_PATH": path, "COLUMNS": f"{columns}"}
        )

    return run


ADD = ("add", "tenant-a", "--secret-id", "healthwise/client", "--parameter-name", "/tenant-a/token")


# The dry check.


def tools(status: int | RotatorError) -> Instruments:
    def reach(url: str, _ca_parameter_name: str | None) -> TokenResponse:
        if isinstance(status, RotatorError):
            raise status
        return TokenResponse(status=status, body=b"", requested_at=multiple.clock.now())

    multiple, patient = MultipleRotations(), healthy()
    return Instruments(
        inspector=patient.inspector,
        reach=reach,
        begin_run=lambda: pytest.fail("no run is needed"),
        now=multiple.clock.now,
    )


def checked(multiple: MultipleRotations, status: int | RotatorError = 405) -> tuple[str, RotatorError | None]:
    """What the check shows, and why it refuses."""
    console, refusal = Console(width=200), None
    with console.capture() as capture:
        try:
            add.check(rotation(name="tenant-a"), multiple.rotator, tools(status), console)
        except RotatorError as error:
            refusal = error
    return capture.get(), refusal


def test_check_passes_without_requesting_a_token() -> None:
    multiple = MultipleRotations()
    shown, refusal = checked(multiple)
    assert refusal is None
    assert shown.count("✓") == 2
    assert multiple.ports.token_endpoint.requests == []
    assert CANARY_SECRET not in shown


@pytest.mark.parametrize(
    ("secret", "status", "why"),
    [
        (False, 405, ": its secret failed the check;"),
        (True, 503, ": its token endpoint failed the check;"),
        (
            True,
            TokenRequestError("no certificate", advice="trust it"),
            ": its token endpoint failed the check;",
        ),
        (False, 503, ": its secret and token endpoint failed the check;"),
    ],
)
def test_failed_check_is_shown_and_refuses_the_rotation(
    secret: bool, status: int | RotatorError, why: str
) -> None:
    multiple = MultipleRotations()
    if not secret:
        multiple.ports.secrets.credentials.clear()
    shown, refusal = checked(multiple, status)
    assert shown.count("✗") == why.count(" and ") + 1
    assert shown.count("→") == shown.count("✗")
    assert refusal
    assert f"tenant-a was not written{why}" in str(refusal)
    assert "--no-check" in refusal.advice
    assert not isinstance(refusal, SettingsError)


def test_check_before_add_does_not_promise_a_next_run() -> None:
    down = TokenRequestError("it is down", advice="check the path", retry=Retry.NEXT_RUN)
    assert checked(MultipleRotations(), down)[0].endswith(
        "→ try again; if the error persists, check the path\n"
    )


def test_the_doctors_instruments_are_made_without_a_call() -> None:
    assert instruments().now().tzinfo is not None


# add


def test_add_prints_document_and_next_step(command: Any) -> None:
    multiple = MultipleRotations()
    done = command(multiple, *ADD, "--no-check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "added tenant-a: /rotations/tenant-a\nThe next run uses it. To run now: rotator rotate tenant-a\n"
    )
    assert json.loads(multiple.texts()["tenant-a"])["parameter_name"] == "/tenant-a/token"


def test_changed_parameter_warns_that_old_token_is_not_renewed(command: Any) -> None:
    multiple = MultipleRotations(**{"tenant-a": document("old")})
    done = command(multiple, *ADD, "--no-check", "--replace")
    assert done.stdout.startswith("changed tenant-a: /rotations/tenant-a\n")
    assert "No rotation renews /old/token any more; its token stays there and expires." in done.stdout
    assert "No rotation renews" not in command(multiple, *ADD, "--no-check", "--replace").stdout


def test_a_dry_run_prints_the_document_alone_and_writes_nothing(command: Any) -> None:
    multiple = MultipleRotations()
    done = command(multiple, *ADD, "--no-check", "--dry-run", "--renew-at", "0.5")
    assert (done.exit_code, multiple.texts()) == (0, {})
    assert json.loads(done.stdout) == {**document("tenant-a"), "renew_at": 0.5}
    assert "/rotations/tenant-a would be written; nothing was written" in done.stderr


def test_failed_check_writes_nothing_unless_skipped(command: Any) -> None:
    multiple = MultipleRotations()
    multiple.ports.secrets.credentials.clear()
    closed = ("--token-endpoint", "http://127.0.0.1:1/token")
    done = command(multiple, *ADD, *closed)
    assert (done.exit_code, done.stdout, multiple.texts()) == (1, "", {})
    assert "✗ secret: " in done.stderr
    assert "✗ token endpoint: " in done.stderr
    assert "was not written: its secret and token endpoint failed the check" in done.stderr
    assert command(multiple, *ADD, *closed, "--no-check").exit_code == 0


@pytest.mark.parametrize("args", [ADD, ("remove", "tenant-a", "--yes")])
def test_missing_rotations_path_setting_is_named(args: tuple[str, ...], command: Any) -> None:
    done = command(MultipleRotations(), *args, path="")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("rotator: ROTATOR_ROTATIONS_PATH is not set; set it to the path")
    assert "--stack" in done.stderr


@pytest.mark.parametrize("missing", ["--secret-id", "--parameter-name"])
def test_an_option_that_is_missing_is_named(missing: str, command: Any) -> None:
    where = ADD.index(missing)
    done = command(MultipleRotations(), *ADD[:where], *ADD[where + 2 :])
    assert done.exit_code == 2
    assert f"Missing option '{missing}'" in done.stderr


# A stack's settings.


def has_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    monkeypatch.setattr(wiring, "environment", lambda _environ, stack: variables if stack else {})


def test_add_to_single_rotation_stack_is_refused(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    has_variables(monkeypatch, ROTATOR_SECRET_ID="healthwise/client")
    done = command(MultipleRotations(), *ADD, "--stack", "rotator")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the stack rotator has one rotation" in done.stderr
    assert "deployed with RotationsPath" in done.stderr


def test_add_with_stack_suggests_rotating_by_function(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    has_variables(monkeypatch, ROTATOR_ROTATIONS_PATH=PATH)
    multiple = MultipleRotations()
    done = command(multiple, *ADD, "--no-check", "--stack", "rotator", path="")
    assert (done.exit_code, list(multiple.texts())) == (0, ["tenant-a"])
    assert "To run now: rotator rotate tenant-a --function FUNCTION" in done.stdout


# rotate --progress


def test_short_run_without_terminal_shows_no_progress(command: Any) -> None:
    multiple = MultipleRotations(a=document("a"), bad="{")
    done = command(multiple, "rotate", "--progress", "--json")
    assert (done.exit_code, done.stderr, json.loads(done.stdout)["rotated"]) == (1, "", 1)


def test_progress_counts_every_rotation(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_SECONDS", 0.0)
    multiple = MultipleRotations(a=document("a"), b=document("b"), bad="{")
    done = command(multiple, "rotate", "--progress")
    assert done.stderr.splitlines()[-1] == "3 of 3: 2 rotated, 1 failed"
    assert command(multiple, "rotate", "a", "--progress").stderr == "1 of 1: 1 fresh\n"
    assert command(multiple, "rotate", "a").stderr == ""


def test_progress_with_function_option_is_refused(command: Any) -> None:
    done = command(MultipleRotations(), "rotate", "--progress", "--function", "rotator")
    assert done.exit_code == 2
    assert "--progress shows a run on this machine" in done.stderr


# rotate --function


def invoked(monkeypatch: pytest.MonkeyPatch, error: RotatorError, *args: str) -> Result:
    def invoke(*_: object) -> Any:
        raise error

    monkeypatch.setattr(wiring, "invoke_function", invoke)
    return CliRunner().invoke(main.main, ["rotate", "--function", "rotator", *args])


@pytest.mark.parametrize(("kind", "code"), [(RotatorError, 1), (SettingsError, 2)], ids=["failed", "refused"])
def test_failed_function_is_reported_as_json(
    kind: type[RotatorError], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind("the function rotator failed: a: down\n  b: down", advice="see its log")
    done = invoked(monkeypatch, error, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (code, {"error": str(error)})
    assert done.stderr == f"rotator: {error}\n"
    assert invoked(monkeypatch, error).stdout == ""


# remove


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


# list


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
