"""Facts looked up in AWS for people: what could not be told is told by AWS's code, with a next step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rotator.adapters import aws
from rotator.adapters.aws import AwsError
from rotator.errors import RotatorError


def look_up(
    operation: Callable[..., Any], what: str, action: str, *, missing: Collection[str] = (), **parameters: Any
) -> Any:
    """Call an operation; return None if AWS answers a code of ``missing``: there is no such thing.

    ``what`` is looked up, and ``action`` the permission for it, in the RotatorError that is raised otherwise.
    """
    try:
        return aws.call(operation, **parameters)
    except AwsError as error:
        if error.code in missing:
            return None
        raise failed(error, what, action) from error


def look_up_pages(
    operation: Callable[..., Any], token: str, what: str, action: str, *, marker: str = "", **parameters: Any
) -> list[Mapping[str, Any]]:
    """Call an operation for every page.

    An answer tells in ``token`` where the next page begins; a question tells it in ``marker`` or likewise.
    """
    pages = [look_up(operation, what, action, **parameters)]
    while following := pages[-1].get(token):
        pages.append(look_up(operation, what, action, **parameters, **{marker or token: following}))
    return pages


def failed(error: AwsError, what: str, action: str, how: str = "could not be looked up") -> RotatorError:
    """Say what could not be done, by AWS's code, and who must allow what."""
    advice = f"allow this caller {action} on it" if error.code in aws.DENIED else error.advice
    return RotatorError(f"{what} {how}: {error.code}", advice=advice or "see the code in AWS's documentation")
