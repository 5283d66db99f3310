"""Facts looked up in AWS for people: a lookup that fails names AWS's code and the next step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import RotatorError

T = TypeVar("T")


def look_up(
    operation: Callable[..., Any],
    what: str,
    action: str,
    *,
    read: Callable[[Any], T],
    missing: Collection[str] = (),
    **parameters: Any,
) -> T | None:
    """Call an operation and return what ``read`` takes from its answer, or None if there is no such thing.

    Args:
        operation: Of a client.
        what: What is looked up, for the error.
        action: The permission for it, for the error.
        read: Takes what is needed from an answer.
        missing: AWS's codes for a thing that does not exist.
        parameters: Of the operation.

    Raises:
        RotatorError: It could not be looked up.
    """
    try:
        return aws_client.call(operation, read=read, **parameters)
    except AwsError as error:
        if error.code in missing:
            return None
        raise failed(error, what, action) from error


def look_up_pages(
    operation: Callable[..., Any],
    token: str,
    what: str,
    action: str,
    *,
    read: Callable[[Any], Iterable[T]],
    marker: str = "",
    **parameters: Any,
) -> list[T]:
    """Call an operation for every page, and return what ``read`` takes from each; see ``look_up``.

    An answer names the next page in ``token``; the next call names it in ``marker``, or in the same member.
    """
    found: list[T] = []
    following: dict[str, str] = {}
    while True:
        try:
            more, after = aws_client.call(
                operation,
                read=lambda answer: (list(read(answer)), answer.get(token)),
                **parameters,
                **following,
            )
        except AwsError as error:
            raise failed(error, what, action) from error
        found += more
        if not after:
            return found
        following = {marker or token: after}


def failed(error: AwsError, what: str, action: str, how: str = "could not be looked up") -> RotatorError:
    """Return the error for what could not be done: AWS's code, and the permission that may be missing."""
    own = dict.fromkeys(aws_errors.DENIED, f"allow this caller {action} on it")
    return RotatorError(
        f"{what} {how}: {error.code}",
        advice=error.advice_with(own),
        retry=error.retry,
    )
