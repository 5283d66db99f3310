"""What the unit tests share."""

from __future__ import annotations

import pytest

from consumers import Consumer, consumer


@pytest.fixture
def fresh() -> Consumer:
    """A consumer that holds a token of a day's life, just issued."""
    made = consumer()
    made.reader.publish("one")
    assert made.token() == "one"
    return made
