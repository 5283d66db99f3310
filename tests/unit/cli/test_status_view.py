"""``rotator status`` of hundreds: the order, what is chosen, the summary, what is said of many at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from fake_ports import rotation
from multiple_rotations import MultipleRotations, document
from rotator import bootstrap
from rotator.cli import main, status_view
from rotator.cli.status import showing
from rotator.cli.status_view import STATES, Overview, matching
from rotator.errors import SettingsError
from rotator.renewal.durations import format_time
from rotator.renewal.policy import TokenState

HOURS = {"dead": -1, "deader": -5, "due-later": 7, "due-sooner": 2, "fresh-later": 23, "fresh-sooner": 20}


@pytest.fixture
def multiple() -> MultipleRotations:
    """Every state there is."""
    made = MultipleRotations(
        bad="{", **{name: document(name) for name in (*HOURS, "new", "odd", "half-done")}
    )
    for name, hours in HOURS.items():
        made.token(name, hours_left=hours)
    made.token("half-done", hours_left=22)
    status = made.ports.parameters.status("/half-done/token/status")
    marked = json.dumps({**status, "renew_at": format_time(made.clock.now() - timedelta(minutes=2))})
    made.ports.parameters.put("/half-done/token/status", marked, "String")
    half_done = rotation(parameter_name="/half-done/token")
    made.ports.parameters.put_lease(half_done, expires_at=made.clock.now() - timedelta(minutes=1))
    made.ports.parameters.put("/odd/token", "token", "SecureString")
    return made


def read_overview(multiple: MultipleRotations, *names: str, **chosen: Any) -> Overview:
    return status_view.read_overview(multiple.rotator, names, multiple.clock.now(), **chosen)


def shown(found: Overview) -> list[str]:
    return [line.name for line in found.lines]


def test_token_is_shown_if_lease_is_unreadable(multiple: MultipleRotations) -> None:
    """A caller that may only read tokens may not read their leases."""
    multiple.ports.parameters.put("/due-later/token/lease", "x", "SecureString")
    (line,) = read_overview(multiple, "due-later").lines
    assert (line.state, line.stored.token_version) == (TokenState.DUE, 1)
    assert (line.reason or "").startswith(
        "its lease cannot be read: the lease parameter /due-later/token/lease is a Sec"
    )


ORDER = [
    *("deader", "dead", "new", "odd", "bad", "half-done"),
    *("due-sooner", "due-later", "fresh-sooner", "fresh-later"),
]


def test_invalid_tokens_come_first_then_soonest_expiry(multiple: MultipleRotations) -> None:
    assert shown(read_overview(multiple)) == ORDER


def test_tokens_of_equal_expiry_are_sorted_by_name() -> None:
    multiple = MultipleRotations(b=document("b"), a=document("a"), c=document("c"))
    for name in "cab":
        multiple.token(name, hours_left=3)
    assert shown(read_overview(multiple)) == ["a", "b", "c"]


def test_every_state_can_be_selected(multiple: MultipleRotations) -> None:
    assert {*STATES} == {state.value for state in TokenState} | {"unreadable"}
    found = {state: shown(read_overview(multiple, states=frozenset({state}))) for state in STATES}
    assert found == {
        "fresh": ["fresh-sooner", "fresh-later"],
        "due": ["half-done", "due-sooner", "due-later"],
        "expired": ["deader", "dead"],
        "unknown": ["odd"],
        "missing": ["new"],
        "unreadable": ["bad"],
    }


@pytest.mark.parametrize(
    ("hours", "last"), [(0, "half-done"), (2, "due-sooner"), (1.99, "half-done"), (24, "fresh-later")]
)
def test_expiry_filter_includes_tokens_of_unknown_validity(
    multiple: MultipleRotations, hours: float, last: str
) -> None:
    assert shown(read_overview(multiple, ending_within=hours * 3600)) == ORDER[: ORDER.index(last) + 1]


def test_state_and_expiry_filters_combine(multiple: MultipleRotations) -> None:
    found = read_overview(multiple, states=frozenset({"due", "fresh"}), ending_within=3 * 3600)
    assert shown(found) == ["half-done", "due-sooner"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["due-*"], ["due-sooner", "due-later"]),
        (["*er", "new"], ["deader", "new", "due-sooner", "due-later", "fresh-sooner", "fresh-later"]),
        (["[bn]*"], ["new", "bad"]),
        (["due-soone?", "due-sooner"], ["due-sooner"]),
        (["*"], ORDER),
    ],
)
def test_pattern_selects_every_matching_name(
    multiple: MultipleRotations, names: Sequence[str], expected: list[str]
) -> None:
    assert shown(read_overview(multiple, *names)) == expected


def test_exact_rotation_name_is_not_a_pattern() -> None:
    assert matching(["a[1]"], ["a1", "a[1]"]) == {"a[1]"}


@pytest.mark.parametrize(
    ("name", "advice"),
    [("due-soone*x", "did you mean due-sooner"), ("DEAD", "name one of: bad, dead"), ("q*", "name one")],
)
def test_unmatched_name_or_pattern_is_refused(multiple: MultipleRotations, name: str, advice: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_overview(multiple, "dead", name)
    assert f"there is no rotation named {name!r}; {advice}" in str(caught.value)


def test_unknown_name_error_lists_only_some_known_names() -> None:
    multiple = MultipleRotations(**{f"tenant-{number:03}": document(f"t{number}") for number in range(312)})
    with pytest.raises(SettingsError, match=r"tenant-009 and 302 more$"):
        read_overview(multiple, "q")


# The summary.


def test_summary_counts_states_and_names_soonest_expiry() -> None:
    multiple = MultipleRotations(
        **{f"tenant-{number}": document(f"tenant-{number}") for number in range(312)}
    )
    for number in range(312):
        hours = -1 if number < 2 else 4 + number / 60 if number < 12 else 20
        multiple.token(f"tenant-{number}", hours_left=hours)
    assert read_overview(multiple).describe() == (
        "312 rotations: 300 fresh, 10 due, 2 expired; the soonest expires in 4 h 2 min (tenant-2)"
    )


def test_summary_counts_shown_of_all_selected_rotations(multiple: MultipleRotations) -> None:
    found = read_overview(multiple, states=frozenset({"due"}))
    assert found.describe() == "3 of 10 rotations: 3 due; the soonest expires in 2 h (due-sooner)"
    assert (
        read_overview(multiple, "due-*", states=frozenset({"due"}))
        .describe()
        .startswith("2 rotations: 2 due;")
    )
    assert read_overview(multiple, "due-*", states=frozenset({"fresh"})).describe() == "0 of 2 rotations"


def test_soonest_expiry_ignores_expired_and_possibly_revoked(multiple: MultipleRotations) -> None:
    assert read_overview(multiple, "dead", "half-done", "bad").describe() == (
        "3 rotations: 1 due, 1 expired, 1 unreadable"
    )


def test_json_has_the_summary_and_soonest_expiry(multiple: MultipleRotations) -> None:
    reported = read_overview(multiple, states=frozenset({"due"})).to_dict()
    assert reported["summary"] == {
        "rotations": 10,
        "shown": 3,
        "states": {"due": 3},
        "soonest": {
            "name": "due-sooner",
            "expires_at": "2026-11-24T08:00:00Z",
            "seconds_remaining": 7200,
        },
    }
    assert reported.keys() == {"at", "rotations", "summary"}
    assert read_overview(multiple, "dead").to_dict()["summary"]["soonest"] is None


@pytest.mark.parametrize(("names", "is_valid"), [(["due-*"], True), (["due-*", "dead"], False)])
def test_overview_is_valid_only_if_all_shown_tokens_are(
    multiple: MultipleRotations, names: list[str], is_valid: bool
) -> None:
    assert read_overview(multiple, *names).is_valid is is_valid


# For people.


def printed(found: Overview) -> str:
    console = Console(width=200)
    with console.capture() as capture, showing(console) as show:
        show(found)
    return capture.get()


def test_equal_reasons_are_printed_once() -> None:
    multiple = MultipleRotations(**{name: document(name) for name in "abcde"}, z="{")
    text = printed(read_overview(multiple))
    assert text.count("it has no token yet") == 1
    assert "a, b, c and 2 more: it has no token yet: run `rotator rotate`" in text
    assert "z: the rotation document /rotations/z is not a JSON object" in text
    assert "a, b: it has no token yet" in printed(read_overview(multiple, "a", "b"))


def test_equal_warnings_are_printed_once() -> None:
    multiple = MultipleRotations(a=document("a"), b=document("b"))
    for name in "ab":
        multiple.token(name, hours_left=0.2, lifetime=900)
    assert printed(read_overview(multiple)).count("warning:") == 1


def test_watch_prints_summary_first_unless_single_rotation(multiple: MultipleRotations) -> None:
    lines = printed(read_overview(multiple)).splitlines()
    assert lines[1].startswith("10 rotations: ")
    assert lines[2].startswith("rotation ")
    assert printed(read_overview(multiple, "new")).splitlines()[1].startswith("rotation ")


def run(multiple: MultipleRotations, monkeypatch: pytest.MonkeyPatch, *args: str) -> Result:
    monkeypatch.setattr(bootstrap, "build", lambda _environ: multiple.rotator)
    monkeypatch.setattr(bootstrap, "utc_now", multiple.clock.now)
    return CliRunner().invoke(main.main, ["status", *args], env={"COLUMNS": "200"})


def test_status_prints_sorted_table_then_summary(
    multiple: MultipleRotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(multiple, monkeypatch)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : len(ORDER) + 1]] == ORDER
    assert lines[-1].startswith("10 rotations: 2 fresh, 3 due, 2 expired, 1 unknown, 1 missing, 1 unreadable")
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("args", "expected", "code"),
    [
        (["--state", "due,fresh", "due-*", "fresh-*"], ORDER[-4:], 0),
        (["--state", "due", "--state", "Fresh", "due-*"], ORDER[6:8], 0),
        (["--ending-within", "2h", "due-*"], ["due-sooner"], 0),
        (["--ending-within", "1h"], ORDER[:6], 1),
        (["--state", "fresh", "due-*"], [], 0),
    ],
)
def test_options_select_rotations(
    args: list[str],
    expected: list[str],
    code: int,
    multiple: MultipleRotations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = run(multiple, monkeypatch, "--json", *args)
    assert [line["name"] for line in json.loads(done.stdout)["rotations"]] == expected
    assert done.exit_code == code


def test_empty_selection_prints_no_table(
    multiple: MultipleRotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(multiple, monkeypatch, "new", "--state", "fresh").stdout == "0 of 1 rotation\n"


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--state", "dead"], "'dead' is not one of fresh, due, expired, unknown, missing, unreadable"),
        (["--state", ""], "'' is not one of"),
        (["--ending-within", "soon"], "a whole number of seconds"),
        (["--ending-within", "-1"], "a whole number of seconds"),
    ],
)
def test_invalid_selection_option_is_refused(
    args: list[str], problem: str, multiple: MultipleRotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(multiple, monkeypatch, *args)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.split())


def test_rotation_of_the_environment_matches_name_and_pattern() -> None:
    multiple = MultipleRotations().set(rotation=rotation(), rotations_path=None)
    assert shown(read_overview(multiple, "def*")) == shown(read_overview(multiple, "default")) == ["default"]
