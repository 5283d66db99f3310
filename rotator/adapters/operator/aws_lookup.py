"""Read-only calls for an operator: a failed call names AWS's error code and the next step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.aws_client import AwsError
from rotator.errors import RotatorError

T = TypeVar("T")

_GONE = dict.fromkeys(
    ("NotFound", "ResourceNotFoundException"),
    "it does not exist in this account and Region: create it, or deploy with the name or ARN of another",
)
"""The next step if there is no such topic, log group or function; by AWS's codes."""


def look_up(
    operation: Callable[..., Any],
    what: str,
    action: str,
    *,
    read: Callable[[Any], T],
    missing: Collection[str] = (),
    **parameters: Any,
) -> T | None:
    """Call an operation and return the result of ``read`` for its answer, None if the resource is missing.

    Args:
        operation: The operation of a client.
        what: The name of the resource, for the error.
        action: The needed permission, for the error.
        read: Returns the needed part of an answer.
        missing: AWS's codes for a missing resource.
        parameters: The parameters of the operation.

    Raises:
        RotatorError: The call failed.
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
    """Call an operation for every page, and return the results of ``read``; see ``look_up``.

    An answer names the next page in the member ``token``; the next call passes it as ``marker``, or as
    ``token`` by default.
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


def failed(error: AwsError, what: str, action: str, how: str = "could not be read") -> RotatorError:
    """Return the error of a failed call, with AWS's code and the permission that may be missing."""
    own = {**_GONE, **dict.fromkeys(aws_errors.DENIED, f"allow this caller {action}")}
    return RotatorError(
        f"{what} {how}: {error.code}",
        advice=error.advice_with(own),
        retry=error.retry,
    )
