"""What ``rotator status`` and ``rotator rotate`` show, where there is more to say than a word."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from fake_ports import START, rotation
from rotator.cli import rotate, tables
from rotator.cli.console import PIPE_COLUMNS, plain_table, standard_output
from rotator.cli.rotation_status import RotationStatus, status_of
from rotator.errors import ParameterStoreError
from rotator.oauth.models import Stage
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Attempt, Lease, Outcome, Result, Status, Stored, Summary

STORED = Stored(
    token_version=7,
    status_version=3,
    status=Status(
        parameter_version=7,
        issued_at=START,
        expires_at=START + timedelta(hours=24),
        renew_at=START + timedelta(hours=16),
        scope="*",
        token_sha256="0" * 16,
        secret_version_id="v",
        rotator_version="0",
    ),
)


def line(lease: Lease = Lease(), *, hours: float = 1) -> RotationStatus:  # noqa: B008 - frozen
    found = Stored(token_version=7, status_version=3, status=STORED.status, lease=lease)
    return status_of(rotation(), found, START + timedelta(hours=hours), Guarantee())


def shown(summary: Summary) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        rotate.print_summary(console, summary)
    return capture.get()


def test_fresh_token_is_valid_without_explanation() -> None:
    assert (line().state, line().is_valid, line().reason) == ("fresh", True, None)


def test_token_of_unfinished_renewal_is_not_valid_and_explained() -> None:
    crashed = Attempt(at=START + timedelta(hours=17), outcome=None)
    unfinished = line(Lease(version=3, last_attempt=crashed, may_be_revoked=True), hours=18)
    assert (unfinished.state, unfinished.is_valid) == ("due", False)
    assert unfinished.reason == (
        "the endpoint may have issued a token that was not stored, and this one may be revoked; "
        "the last attempt, until 2026-11-24T23:00:00Z, ended without releasing its lease; "
        "the next run renews it"
    )


def test_token_is_valid_during_its_renewal() -> None:
    under_way = line(Lease(version=3, held_until=START + timedelta(minutes=61)))
    assert (under_way.state, under_way.is_valid) == ("fresh", True)
    assert under_way.reason == "a run may renew it until 2026-11-24T07:01:00Z"
    assert under_way.to_dict()["leased_until"] == "2026-11-24T07:01:00Z"


@pytest.mark.parametrize(
    ("outcome", "kind", "how"),
    [
        (Outcome.FAILED, "CredentialsError", "failed with CredentialsError"),
        (Outcome.KEPT, None, "kept the token"),
        (None, None, "ended without releasing its lease"),
    ],
)
def test_last_attempt_is_shown_with_its_outcome(outcome: Outcome | None, kind: str | None, how: str) -> None:
    shown = line(Lease(version=3, last_attempt=Attempt(at=START, outcome=outcome, error_kind=kind)))
    assert (shown.is_valid, shown.reason) == (True, f"the last attempt, until 2026-11-24T06:00:00Z, {how}")
    assert shown.to_dict()["last_attempt"] == {
        "at": "2026-11-24T06:00:00Z",
        "outcome": outcome and outcome.value,
        "error_kind": kind,
    }


def test_token_of_current_secret_shows_no_stage() -> None:
    assert "secret_stage" not in line().to_dict()


@pytest.mark.parametrize(
    ("stage", "next_step"),
    [
        (Stage.PENDING, "move the label AWSCURRENT to the version labelled AWSPENDING"),
        (Stage.PREVIOUS, "activate the secret labelled AWSCURRENT at the provider"),
    ],
)
def test_token_of_other_secret_stage_advises_to_finish_rollover(stage: Stage, next_step: str) -> None:
    assert STORED.status
    stored = replace(STORED, status=replace(STORED.status, secret_stage=stage))
    rolled = status_of(rotation(), stored, START + timedelta(hours=1), Guarantee())
    assert (rolled.state, rolled.is_valid) == ("fresh", True)
    assert rolled.reason
    assert rolled.reason.startswith(f"its token was requested with {stage}: finish the rollover; {next_step}")
    assert rolled.to_dict()["secret_stage"] == stage.value
    late = status_of(rotation(), stored, START + timedelta(hours=25), Guarantee())
    assert late.reason
    assert late.reason.startswith("its token has expired")


def test_status_of_another_token_shows_no_stage() -> None:
    assert STORED.status
    other = replace(STORED, token_version=8, status=replace(STORED.status, secret_stage=Stage.PENDING))
    unknown = status_of(rotation(), other, START, Guarantee())
    assert "AWSPENDING" not in str(unknown.reason)
    assert "secret_stage" not in unknown.to_dict()


def test_failures_show_early_or_late_and_remaining_lifetime() -> None:
    for late, word in ((False, "failed early"), (True, "failed  ")):
        failed = Result(
            name="a",
            outcome=Outcome.FAILED,
            error="down; wait",
            expires_at=START,
            seconds_remaining=90,
            late=late,
        )
        table = shown(Summary(results=(failed,)))
        assert word in table
        assert "a: down; wait; the stored token is valid for another 1 min 30 s" in table


def test_table_cells_are_printed_without_markup() -> None:
    odd = "a:smile:[b]c[/b]"
    console = Console(width=200)
    with console.capture() as capture:
        console.print(plain_table(("name", "state"), [(odd, odd)]))
        console.print(*tables.status_parts([replace(line(), name=odd)]))
    assert capture.get().count(odd) == 3
    assert odd in shown(Summary(results=(Result(name=odd, outcome=Outcome.FRESH),)))


@pytest.mark.parametrize(
    ("terminal", "width", "encoding", "drawn"),
    [
        (True, 120, "utf-8", "████████░░ 18 h"),
        (True, 120, "ascii", "########-- 18 h"),
        (True, 80, "utf-8", " 18 h"),
        (False, 1000, "utf-8", " 18 h"),
    ],
)
def test_terminal_shows_remaining_lifetime_as_a_bar(
    terminal: bool, width: int, encoding: str, drawn: str
) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=output, force_terminal=terminal, width=width, no_color=True)
    bar = tables.bar_characters(console)
    with console.capture() as capture:
        console.print(*tables.status_parts([line(hours=6)], bar))
    printed = capture.get()
    assert drawn in printed
    assert ("█" in printed or "#" in printed) == (len(drawn) > len(" 18 h"))


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_removes_the_colours_of_states_and_bars(environment: dict[str, str], coloured: bool) -> None:
    console = Console(force_terminal=True, width=120, color_system="standard", _environ=environment)
    with console.capture() as capture:
        console.print(*tables.status_parts([line(hours=6)], tables.bar_characters(console)))
    printed = capture.get()
    assert ("\x1b[32m" in printed) == coloured
    assert "fresh" in printed
    assert "████████░░" in printed


@pytest.mark.parametrize(
    ("outcome", "shown_as"),
    [(Outcome.FAILED, "failed"), (Outcome.KEPT, "kept"), (None, "not finished")],
)
def test_status_table_has_the_outcome_of_the_last_attempt(outcome: Outcome | None, shown_as: str) -> None:
    attempt = Attempt(at=START, outcome=outcome, error_kind="X")
    assert line(Lease(last_attempt=attempt)).last_outcome == shown_as
    assert line().last_outcome == "rotated"


def test_only_a_terminal_limits_the_output_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert standard_output().width == PIPE_COLUMNS
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert standard_output().width == 40


# Of hundreds.


def failure(name: str, error: str, *, late: bool = False, left: int | None = 3600) -> Result:
    return Result(
        name=name,
        outcome=Outcome.FAILED,
        error=error,
        expires_at=START,
        seconds_remaining=left,
        late=late,
    )


def denied(name: str) -> str:
    return f"reading the parameter /{name}/token failed: AccessDenied; allow this caller that"


def test_summary_shows_late_then_early_failures_and_totals_last() -> None:
    results = [Result(name=f"t{number:03}", outcome=Outcome.ROTATED) for number in range(990)]
    results += [failure(f"u{number}", "down; wait", late=number > 6) for number in range(10)]
    lines = shown(Summary(results=tuple(results))).splitlines()
    first = [line.split()[0] for line in lines[1:12]]
    assert first == ["u7", "u8", "u9", "u0", "u1", "u2", "u3", "u4", "u5", "u6", "t000"]
    assert lines[-1] == "1,000 rotations: 990 rotated, 10 failed (7 of them early)"


def test_dry_run_has_totals_but_single_rotation_has_none() -> None:
    two = tuple(Result(name=name, outcome=Outcome.ROTATED) for name in "ab")
    assert shown(Summary(results=two, dry_run=True)).splitlines()[-1] == "2 rotations: 2 would be rotated"
    assert "rotations:" not in shown(Summary(results=two[:1]))


def test_equal_failures_show_once_with_shortest_lifetime() -> None:
    results = [
        replace(failure(name, denied(name), left=left), advice="allow this caller that")
        for name, left in zip("abcd", (9, 7, 8, 6), strict=True)
    ]
    results += [failure(name, "down; wait") for name in "efghi"]
    text = shown(Summary(results=tuple(results)))
    assert text.count("AccessDenied") == 3
    assert f"a: {denied('a')}; the stored token is valid for another 9 s" in text
    assert "\nand 1 more for the same reason; at worst: the stored token is valid for another 6 s" in text
    assert "\ne, f, g and 2 more: down; wait; at worst: the stored token is valid for another 1 h" in text


def test_equal_denials_are_grouped_in_the_status() -> None:
    lines = [
        status_of(
            rotation(name=name), ParameterStoreError(denied(name), advice="or else"), START, Guarantee()
        )
        for name in "abcde"
    ]
    _table, *reasons = tables.status_parts(lines)
    assert [str(reason) for reason in reasons] == [
        *(f"{name}: {denied(name)}; or else" for name in "abc"),
        "and 2 more for the same reason",
    ]
