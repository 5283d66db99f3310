"""Virtual time: the order of events, and other processes while one sleeps."""

from __future__ import annotations

from datetime import timedelta

from rotator.simulation.timeline import START, Timeline


class Diary:
    """The actions of the processes, and their times."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.lines: list[tuple[float, str]] = []

    def write(self, what: str) -> None:
        self.lines.append((self.timeline.seconds, what))

    def sleeper(self, name: str, *naps: float) -> None:
        for nap in naps:
            self.write(f"{name} falls asleep")
            self.timeline.sleep(nap)
        self.write(f"{name} ends")


def test_events_run_by_time_and_then_in_scheduling_order() -> None:
    diary = Diary()
    for when, what in ((5.0, "later"), (1.0, "first"), (1.0, "second")):
        diary.timeline.at(when, lambda what=what: diary.write(what))  # type: ignore[misc]
    diary.timeline.run_until(10)
    assert diary.lines == [(1.0, "first"), (1.0, "second"), (5.0, "later")]
    assert diary.timeline.seconds == 10


def test_clock_advances_with_the_timeline() -> None:
    timeline = Timeline()
    timeline.run_until(90)
    assert timeline.now() == START + timedelta(seconds=90)


def test_sleeping_process_lets_another_continue() -> None:
    diary = Diary()
    diary.timeline.start_at(0, lambda: diary.sleeper("slow", 10, 10))
    diary.timeline.start_at(5, lambda: diary.sleeper("quick", 1))
    diary.timeline.run_until(60)
    assert diary.lines == [
        (0, "slow falls asleep"),
        (5, "quick falls asleep"),
        (6, "quick ends"),
        (10, "slow falls asleep"),
        (20, "slow ends"),
    ]


def test_processes_started_together_alternate() -> None:
    diary = Diary()
    for name in ("a", "b"):
        diary.timeline.start_at(0, lambda name=name: diary.sleeper(name, 1, 1))  # type: ignore[misc]
    diary.timeline.run_until(60)
    assert [what for _, what in diary.lines] == [
        *("a falls asleep", "b falls asleep") * 2,
        *("a ends", "b ends"),
    ]


def test_event_after_the_end_waits_for_the_next_run() -> None:
    diary = Diary()
    diary.timeline.start_at(0, lambda: diary.sleeper("a", 10))
    diary.timeline.at(5, lambda: None)
    diary.timeline.run_until(7)
    assert diary.lines == [(0, "a falls asleep")]
    diary.timeline.run_until(20)
    assert diary.lines[-1] == (10, "a ends")
