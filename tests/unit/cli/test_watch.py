"""``rotator status --watch`` on a clock that a test holds in its hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from rich.console import Console

from fake_ports import START, Clock, FakeParameterStore, ports, rotation
from rotator.bootstrap import Rotator
from rotator.cli import status_view
from rotator.cli.status import Show, repeat, showing
from rotator.cli.status_view import Overview
from rotator.config.environment import Settings
from rotator.errors import ParameterStoreError, SettingsError

DOCUMENT = '{"secret_id": "healthwise/client", "parameter_name": "/%s/token"}'
DOWN = ParameterStoreError("reading failed: Unreachable", advice="check the network path")


class Watched:
    """A watch that is interrupted after this number of reads; ``before`` has actions before a read."""

    def __init__(self, looks: int, *, settings: Settings | None = None) -> None:
        self.clock = Clock()
        self.looks = looks
        self.seen: list[Overview] = []
        self.before: dict[int, Callable[[], object]] = {}
        self.ports = ports(self.clock)
        self.rotator = Rotator(settings or Settings(rotation=rotation()), self.ports)

    @property
    def store(self) -> FakeParameterStore:
        return self.ports.parameters

    def run(self, show: Show | None = None) -> bool:
        return repeat(self._read, show or self.seen.append, now=self.clock.now, sleep=self._sleep, every=5)

    def _read(self, now: object) -> Overview:
        self.before.get(len(self.seen), lambda: None)()
        return status_view.read_overview(self.rotator, (), self.clock.now())

    def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        if len(self.seen) == self.looks:
            raise KeyboardInterrupt

    def states(self) -> list[list[tuple[str, str]]]:
        return [[(line.name, line.state) for line in each.lines] for each in self.seen]


def multiple() -> Settings:
    return Settings(rotation=None, rotations_path="/rotations")


def give_token(watched: Watched) -> None:
    status = {
        "schema": 1,
        "parameter_version": 1,
        "issued_at": "2026-11-24T06:00:00Z",
        "expires_at": "2026-11-25T06:00:00Z",
        "renew_at": "2026-11-24T22:00:00Z",
        "scope": "*",
        "token_type": "Bearer",
        "token_sha256": "0" * 16,
        "secret_version_id": "v",
        "rotator_version": "0",
    }
    watched.store.put("/healthwise/token", "token", "SecureString")
    watched.store.put("/healthwise/token/status", json.dumps(status), "String")


def test_watch_reads_every_interval_and_shows_changes() -> None:
    watched = Watched(looks=3)
    watched.before[1] = lambda: give_token(watched)
    watched.run()
    assert watched.states() == [[("default", state)] for state in ("missing", "fresh", "fresh")]
    assert [each.at - START for each in watched.seen] == [timedelta(seconds=s) for s in (0, 5, 10)]


@pytest.mark.parametrize("is_valid", [True, False])
def test_watch_result_is_that_of_last_overview(is_valid: bool) -> None:
    watched = Watched(looks=2)
    (watched.before if is_valid else {})[1] = lambda: give_token(watched)
    assert watched.run() is is_valid


def test_token_expiring_during_watch_makes_result_false() -> None:
    watched = Watched(looks=2)
    give_token(watched)
    watched.before[1] = lambda: watched.clock.sleep(86400)
    assert watched.run() is False
    assert watched.states() == [[("default", "fresh")], [("default", "expired")]]


def test_store_failure_is_shown_and_watch_continues() -> None:
    watched = Watched(looks=3)
    give_token(watched)
    watched.before = {
        1: lambda: watched.store.fails.update(read=DOWN),
        2: lambda: watched.store.fails.clear(),
    }
    assert watched.run() is True
    assert watched.states() == [[("default", state)] for state in ("fresh", "unreadable", "fresh")]


def test_watch_follows_added_and_removed_documents() -> None:
    watched = Watched(looks=3, settings=multiple())
    watched.store.put("/rotations/a", DOCUMENT % "a", "String")
    watched.before = {
        1: lambda: watched.store.put("/rotations/b", DOCUMENT % "b", "String"),
        2: lambda: watched.store.parameters.pop("/rotations/a"),
    }
    watched.run()
    assert [[name for name, _ in states] for states in watched.states()] == [["a"], ["a", "b"], ["b"]]


def test_watch_shows_document_read_error_and_continues() -> None:
    watched = Watched(looks=3, settings=multiple())
    watched.store.put("/rotations/a", DOCUMENT % "a", "String")
    watched.before = {
        0: lambda: watched.store.fails.update(read=DOWN),
        1: lambda: watched.store.fails.clear(),
        2: lambda: watched.store.parameters.clear(),
    }
    assert watched.run() is False
    assert [each.error for each in watched.seen[:2]] == [str(DOWN), None]
    assert "there is no rotation under /rotations" in str(watched.seen[2].error)
    assert watched.seen[0].to_dict() == {"at": "2026-11-24T06:00:00Z", "rotations": [], "error": str(DOWN)}


def test_invalid_settings_at_start_of_watch_raise() -> None:
    with pytest.raises(SettingsError, match="there is no rotation under /rotations"):
        Watched(looks=3, settings=multiple()).run()


def test_interrupt_of_first_read_makes_result_false() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    watched = Watched(looks=3)
    watched.before[0] = interrupt
    assert watched.run() is False


def shown(looks: int, *, terminal: bool, **environment: str) -> str:
    watched = Watched(looks)
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, _environ=environment)
    with showing(console) as show:

        def note(each: Overview) -> None:
            watched.seen.append(each)
            show(each)

        watched.run(note)
    return output.getvalue()


@pytest.mark.parametrize(
    ("terminal", "environment"),
    [pytest.param(False, {}, id="a pipe"), pytest.param(True, {"TERM": "dumb"}, id="a dumb terminal")],
)
def test_watch_appends_tables_if_cursor_cannot_move(terminal: bool, environment: dict[str, str]) -> None:
    text = shown(2, terminal=terminal, **environment)
    assert "\x1b[" not in text.replace("\x1b[0m", "")
    lines = text.splitlines()
    assert [lines[0], lines[5]] == ["2026-11-24T06:00:00Z", "2026-11-24T06:00:05Z"]
    assert lines[1].split()[:2] == lines[6].split()[:2] == ["rotation", "state"]
    assert "run `rotator rotate`" in lines[3]


def test_watch_on_terminal_replaces_the_previous_table() -> None:
    text = shown(2, terminal=True, TERM="xterm")
    up_and_erase = "\x1b[1A\x1b[2K"
    assert text.count(up_and_erase) >= len(shown(1, terminal=False).splitlines()) - 2
    assert text.index("06:00:00Z") < text.index(up_and_erase) < text.index("06:00:05Z")
    assert text.endswith("\x1b[?25h")  # the cursor is back
