"""What the AWS adapters share: one session, bounded clients, and errors without their text.

The clients are botocore's own, as boto3 hands them out: boto3 itself adds resources and transfers, which
nothing here uses and every cold start would import.

AWS quotes rejected values in its messages, and the value here may be the token. So only the
error's code is repeated, and the SDK's exception is left behind instead of chained.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from rotator.adapters.runtime.aws_errors import NO_CREDENTIALS, NOT_AN_ANSWER, UNREACHABLE
from rotator.errors import SettingsError

CONNECTIONS = 40
"""To a service, kept open: as many as there are renewals at a time (scheduler.AT_A_TIME)."""

CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CONNECTIONS,
    user_agent_extra="rotator",
)
"""Seconds, and the only retry layer around AWS calls.

Three attempts with their timeouts and waits (1 and 2 s at most) take 24 s: a call that gets no response
fails with a message before a run of the default budget is cut off without one.
"""

_UNREADABLE = (ResponseParserError, LookupError, AttributeError, TypeError, ValueError)
"""What the SDK, or a reader of an answer, raises where a member is missing or has another type."""

T = TypeVar("T")

_lock = threading.Lock()


def _renew_lock() -> None:
    """A forked child may have been given it locked, by a thread that it was not given."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def keep_sdk_quiet() -> None:
    """Keep botocore from logging below WARNING, whatever the level of ours.

    At DEBUG it logs whole requests and answers: the secret on its way in, the token on its way out.
    """
    logging.getLogger("botocore").setLevel(logging.WARNING)


@cache
def session() -> Session:
    """The process's session: credentials, profile, Region and endpoints as the SDK finds them by itself."""
    return get_session()


def client(service: str, config: Config = CONFIG) -> Any:
    """Make a client of the process's session.

    Raises SettingsError if the environment names no Region or a profile that does not exist.
    """
    keep_sdk_quiet()
    try:
        with _lock:  # sessions are not thread-safe; clients are
            return session().create_client(service, config=config)
    except NoRegionError:
        problem = "no AWS Region is set"
        advice = "set AWS_DEFAULT_REGION, or region in the profile, to the Region of the parameters"
    except ProfileNotFound:
        problem, advice = "AWS_PROFILE names a profile that does not exist", "set another, or none"
    except (ValueError, BotoCoreError) as error:
        problem = f"the AWS settings are not usable ({type(error).__name__})"
        advice = "check AWS_ENDPOINT_URL and the other AWS_ variables, and the AWS config file"
    raise SettingsError(problem, advice=advice)


class AwsError(Exception):
    """An AWS call failed: ``code`` is AWS's error code, or the name of the SDK's error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def call(operation: Callable[..., Any], *, read: Callable[[Any], T], **parameters: Any) -> T:
    """Call an operation of a client and return what ``read`` takes from its answer.

    An answer in which a member is missing that ``read`` uses is not one of AWS.

    Raises:
        AwsError: The call failed. It quotes nothing.
    """
    try:
        return read(operation(**parameters))
    except ClientError as error:
        code = _code(error)
    except (
        NoCredentialsError,
        PartialCredentialsError,
        CredentialRetrievalError,
        TokenRetrievalError,
    ):
        code = NO_CREDENTIALS
    except BotoCoreError as error:
        connection = "Connect" in type(error).__name__ or "Timeout" in type(error).__name__
        code = UNREACHABLE if connection else type(error).__name__
    except _UNREADABLE:
        code = NOT_AN_ANSWER
    # Outside the handlers, so that the SDK's exception is not even the context of this one.
    raise AwsError(code)


def _code(error: ClientError) -> str:
    """Return AWS's error code; the SDK puts the HTTP status in its place if an answer has none."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return NOT_AN_ANSWER if not code or code.isdigit() else code
