"""What the unit tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from token_source_setup import Consumer, consumer


@pytest.fixture(autouse=True)
def no_level_of_another_test() -> Iterator[None]:
    """Commands and the function set the level of our loggers, which the next test may not find."""
    logger = logging.getLogger("rotator")
    logger.setLevel(logging.NOTSET)  # a test of another folder may have set it
    yield
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def fresh() -> Consumer:
    """A consumer that holds a token that was just issued for a day."""
    made = consumer()
    made.reader.publish("one")
    assert made.token() == "one"
    return made
