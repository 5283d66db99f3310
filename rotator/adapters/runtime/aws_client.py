"""What the AWS adapters share: one session, bounded clients, and errors without their text.

The clients are botocore's own, as boto3 hands them out: boto3 itself adds resources and transfers, which
nothing here uses and every cold start would import.

AWS quotes rejected values in its messages, and the value here may be the token. So only the
error's code is repeated, and the SDK's exception is left behind instead of chained.
"""

from __future__ import annotations

import getpass
import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoRegionError,
    ProfileNotFound,
    UnknownRegionError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from rotator.adapters.runtime import aws_errors
from rotator.adapters.runtime.aws_errors import NOT_AN_ANSWER, SOURCE_FAILED
from rotator.errors import Retry, RotatorError, SettingsError

CONNECTIONS = 40
"""Connections to a service that are kept open: one for each concurrent renewal (scheduler.MAX_RENEWALS)."""

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

_FAILURES = (ClientError, BotoCoreError, OSError, EOFError, getpass.GetPassWarning, *_UNREADABLE)
"""What a call may raise. The SDK may obtain credentials in it, from where OSError and the next two come."""

_NOT_OBTAINED = "AWS credentials could not be obtained"

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
    Of credentials that cannot be obtained, it logs the traceback besides raising the error.
    """
    logging.getLogger("botocore").setLevel(logging.WARNING)
    for source in ("credentials", "tokens"):
        logging.getLogger(f"botocore.{source}").setLevel(logging.CRITICAL)


@cache
def session() -> Session:
    """The process's session: credentials, profile, Region and endpoints as the SDK finds them by itself."""
    return get_session()


class AwsError(RotatorError):
    """An AWS call failed: ``code`` is AWS's error code, one of ours, or the name of the SDK's error."""

    def __init__(self, code: str, problem: str = "AWS could not be called") -> None:
        profile = _login_profile() if aws_errors.asks_for_login(code) else ""
        super().__init__(
            f"{problem}: {code}",
            advice=aws_errors.advice(code, profile=profile),
            retry=aws_errors.retry(code, Retry.BY_HAND),
        )
        self.code = code

    def advice_with(self, own: Mapping[str, str]) -> str:
        """Return the next step, which is that of ``own`` if it has one for the code."""
        return own.get(self.code, self.advice)


def client(service: str, config: Config = CONFIG, *, region: str | None = None) -> Any:
    """Make a client of the process's session, and obtain its credentials if there are any.

    Args:
        service: What it calls.
        config: How it calls.
        region: Where; by default in the session's own Region.

    Raises:
        SettingsError: The environment names no Region or a profile that does not exist.
        AwsError: The credentials cannot be obtained.
    """
    keep_sdk_quiet()
    code: str | None = None
    try:
        with _lock:  # sessions are not thread-safe; clients are
            if config.signature_version is not UNSIGNED:  # type: ignore[attr-defined]
                _obtain_credentials()
            return session().create_client(service, region_name=region, config=config)
    except NoRegionError:
        problem = "no AWS Region is set"
        advice = "set AWS_DEFAULT_REGION, or region in the profile, to the Region of the parameters"
    except ProfileNotFound:
        problem, advice = "AWS_PROFILE names a profile that does not exist", "set another, or none"
    except (ValueError, BotoCoreError) as error:
        code = aws_errors.code_of(error)
        problem = f"the AWS settings are not usable ({type(error).__name__})"
        advice = "check AWS_ENDPOINT_URL and the other AWS_ variables, and the AWS config file"
    if code:
        raise AwsError(code, _NOT_OBTAINED)
    raise SettingsError(problem, advice=advice)


def own_region() -> str | None:
    """Return the Region of the environment or the profile, None if neither names one."""
    with _lock:
        region = session().get_config_variable("region")
    return str(region) if region else None


def partition_of(region: str) -> str | None:
    """Return the partition of a Region, as in ``aws-cn``; None if its name is that of no Region."""
    try:
        with _lock:
            return str(session().get_partition_for_region(region))
    except UnknownRegionError:
        return None


def _obtain_credentials() -> None:
    """Obtain the session's credentials, which a first call would do otherwise.

    Then a login that has expired is one error of the command, and not one of every rotation.
    """
    try:
        providers = session().get_component("credential_provider")
        providers.get_provider("assume-role")._prompter = _ask_for_mfa_code  # noqa: SLF001 - no other way
        if found := session().get_credentials():
            found.get_frozen_credentials()
    except (NoRegionError, ProfileNotFound):
        raise
    except (RuntimeError, *_FAILURES) as error:  # RuntimeError: what was obtained has expired
        code = _code(error, otherwise=SOURCE_FAILED)
    else:
        return
    raise AwsError(code, _NOT_OBTAINED)


def _ask_for_mfa_code(prompt: str) -> str:
    """Ask on the terminal; without one, getpass would write a warning and read standard input."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        return getpass.getpass(prompt)


def _login_profile() -> str:
    """Return the profile to log in with: the one in use, or the one whose credentials it uses."""
    profiles: Mapping[str, Mapping[str, str]] = session().full_config["profiles"]
    name, seen = session().profile or "default", set[str]()
    while name not in seen and "source_profile" in profiles.get(name, {}):
        seen.add(name)
        name = profiles[name]["source_profile"]
    return name


def call(operation: Callable[..., Any], *, read: Callable[[Any], T], **parameters: Any) -> T:
    """Call an operation of a client and return what ``read`` takes from its answer.

    An answer in which a member is missing that ``read`` uses is not one of AWS.

    Raises:
        AwsError: The call failed. It quotes nothing.
    """
    try:
        return read(operation(**parameters))
    except _FAILURES as error:
        code = _code(error, otherwise=NOT_AN_ANSWER)
    # Outside the handler, so that the SDK's exception is not even the context of this one.
    raise AwsError(code)


def _code(error: Exception, *, otherwise: str) -> str:
    """Return AWS's error code, or ours; ``otherwise`` is for an exception that is not the SDK's."""
    if isinstance(error, ClientError):
        return _code_of_answer(error)
    unnamed = type(error).__name__ if isinstance(error, BotoCoreError) else otherwise
    return aws_errors.code_of(error) or unnamed


def _code_of_answer(error: ClientError) -> str:
    """Return AWS's error code; the SDK puts the HTTP status in its place if an answer has none."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return NOT_AN_ANSWER if not code or code.isdigit() else aws_errors.code_after(code, error.operation_name)
