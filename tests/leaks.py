"""What an error gives away: the places where a secret, or an exception that holds one, could hide."""

from __future__ import annotations

import traceback
from collections.abc import Iterator


def told(error: BaseException) -> str:
    """Everything that an error, and all that travels with it, tells to whoever prints or inspects it."""
    inspected = [(str(each), repr(each), vars(each), each.args) for each in _chain(error)]
    return f"{inspected} {''.join(traceback.format_exception(error))}"


def foreign(error: BaseException, *ours: type[BaseException]) -> list[BaseException]:
    """The exceptions that travel with an error and are none of ours."""
    return [each for each in _chain(error) if not isinstance(each, ours)]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and its causes and contexts, shown in a traceback or not."""
    if error:
        yield error
        yield from _chain(error.__cause__)
        yield from _chain(error.__context__)
