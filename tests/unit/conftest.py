"""What the unit tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Condition, current_thread, main_thread

import pytest

from consumers import Consumer, consumer
from rotator import agenda


@pytest.fixture(autouse=True)
def no_level_of_another_test() -> Iterator[None]:
    """Commands and the function set the level of our loggers, which the next test may not find."""
    logger = logging.getLogger("rotator")
    before = logger.level
    yield
    logger.setLevel(before)


class Impatient(Condition):
    """Fails where an agenda would wait for ever: the main thread at once, any other if nobody comes."""

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is None
        assert current_thread() is not main_thread(), "nothing that was begun can end meanwhile"
        assert super().wait(10)
        return True


@pytest.fixture
def nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect that would hang fails."""
    monkeypatch.setattr(agenda, "Condition", Impatient)


@pytest.fixture
def fresh() -> Consumer:
    """A consumer that holds a token of a day's life, just issued."""
    made = consumer()
    made.reader.publish("one")
    assert made.token() == "one"
    return made
