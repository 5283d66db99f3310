"""The shared parts of the AWS adapters: one session, bounded clients, and errors without AWS's text.

The clients are botocore's. boto3 returns the same clients, and adds resources and transfers that no adapter
uses and every cold start would import.

AWS quotes rejected values in its messages, and a value may be the token. Errors therefore contain only AWS's
error code, and the SDK's exception is not chained.
"""

from __future__ import annotations

import getpass
import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound, UnknownRegionError
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from rotator.adapters.runtime import aws_errors
from rotator.adapters.runtime.aws_errors import NOT_AN_ANSWER, SOURCE_FAILED
from rotator.errors import Retry, RotatorError, SettingsError

CONNECTIONS = 40
"""The open connections to a service: one for each concurrent renewal (scheduler.MAX_RENEWALS)."""

CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CONNECTIONS,
    user_agent_extra="rotator",
)
"""The timeouts in seconds, and the only retry layer of AWS calls.

Three attempts with their timeouts and waits (at most 1 and 2 s) take 24 s: a call without a response fails,
with a message, before Lambda stops a run of the default budget.
"""

TWO_ATTEMPTS = CONFIG.merge(Config(read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}))
"""A call without a response takes 11 s. A run of the default budget has as much after its last request."""

_FAILURES = (
    *(ClientError, BotoCoreError),
    *(OSError, EOFError, getpass.GetPassWarning),  # from obtaining credentials
    # A member of the answer is missing or wrong.
    *(ResponseParserError, LookupError, AttributeError, TypeError, ValueError),
)

_NOT_OBTAINED = "AWS credentials could not be obtained"

T = TypeVar("T")

_lock = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock in a forked child, where a thread that does not exist may hold it."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def keep_sdk_quiet() -> None:
    """Keep botocore from logging below WARNING, at any log level of the rotator.

    At DEBUG, botocore logs whole requests and answers, which contain the secret and the token. If credentials
    cannot be obtained, it logs a traceback in addition to the error that it raises.
    """
    logging.getLogger("botocore").setLevel(logging.WARNING)
    for source in ("credentials", "tokens"):
        logging.getLogger(f"botocore.{source}").setLevel(logging.CRITICAL)


@cache
def session() -> Session:
    """Return the session of the process, with the SDK's own search for credentials, Region and endpoints."""
    return get_session()


class AwsError(RotatorError):
    """An AWS call failed: ``code`` is AWS's error code, a code of aws_errors, or the SDK exception's name."""

    def __init__(self, code: str, problem: str = "AWS could not be called") -> None:
        profile = _login_profile() if code in aws_errors.LOGIN_COMMANDS else ""
        super().__init__(
            f"{problem}: {code}",
            advice=aws_errors.advice(code, profile=profile),
            retry=Retry.BY_HAND if aws_errors.may_pass(code) else None,
        )
        self.code = code

    def advice_with(self, own: Mapping[str, str]) -> str:
        """Return the next step: the one in ``own`` for the error's code, or else the common one."""
        return own.get(self.code, self.advice)


def client(service: str, config: Config = CONFIG, *, region: str | None = None) -> Any:
    """Make a client in a Region, by default the session's own; obtain its credentials if there are any.

    Raises SettingsError for a missing Region or profile, AwsError if the credentials cannot be obtained.
    """
    keep_sdk_quiet()

    def make() -> Any:
        if config.signature_version is not UNSIGNED:  # type: ignore[attr-defined]
            _obtain_credentials()
        return session().create_client(service, region_name=region, config=config)

    return _with_session(make)


def own_region() -> str | None:
    """Return the Region of the environment or the profile, None if neither names one; see ``client``."""
    return _with_session(lambda: session().get_config_variable("region") or None)


def partition_of(region: str) -> str | None:
    """Return a Region's partition, such as ``aws-cn``, None if there is no such Region; see ``client``."""

    def find() -> str | None:
        with suppress(UnknownRegionError):
            return str(session().get_partition_for_region(region))
        return None

    return _with_session(find)


def _with_session(use: Callable[[], T]) -> T:
    """Return what a function gets from the session; see ``client`` for the errors."""
    code = None
    try:
        with _lock:  # sessions are not thread-safe; clients are
            return use()
    except NoRegionError:
        problem = "no AWS Region is set"
        advice = "set AWS_DEFAULT_REGION, or region in the AWS profile, to the Region of the parameters"
    except ProfileNotFound:
        problem, advice = "AWS_PROFILE names a profile that does not exist", "correct or unset AWS_PROFILE"
    except (ValueError, BotoCoreError) as error:
        code = aws_errors.code_of(error)
        problem = f"the AWS settings are not usable ({type(error).__name__})"
        advice = "check AWS_ENDPOINT_URL and the other AWS_ variables, and the AWS config file"
    if code:
        raise AwsError(code, _NOT_OBTAINED)
    raise SettingsError(problem, advice=advice)


def _obtain_credentials() -> None:
    """Obtain the session's credentials before the first call.

    An expired login is then a single error of the command, not an error of every rotation.
    """
    try:
        providers = session().get_component("credential_provider")
        providers.get_provider("assume-role")._prompter = _ask_for_mfa_code  # noqa: SLF001 - no other way
        if found := session().get_credentials():
            found.get_frozen_credentials()
    except (NoRegionError, ProfileNotFound):
        raise
    except (RuntimeError, *_FAILURES) as error:  # RuntimeError: the obtained credentials have expired
        code = _code(error, otherwise=SOURCE_FAILED)
    else:
        return
    raise AwsError(code, _NOT_OBTAINED)


def _ask_for_mfa_code(prompt: str) -> str:
    """Ask for an MFA code on the terminal; raise GetPassWarning if there is no terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        return getpass.getpass(prompt)


def _login_profile() -> str:
    """Return the profile for a login: the current one, or the source_profile of its credentials."""
    profiles: Mapping[str, Mapping[str, str]] = session().full_config["profiles"]
    name, seen = session().profile or "default", set[str]()
    while name not in seen and "source_profile" in profiles.get(name, {}):
        seen.add(name)
        name = profiles[name]["source_profile"]
    return name


def call(operation: Callable[..., Any], *, read: Callable[[Any], T], **parameters: Any) -> T:
    """Call an operation of a client and return the result of ``read`` for its answer; raises AwsError.

    If ``read`` needs a member that the answer lacks, another server answered instead of AWS.
    """
    try:
        return read(operation(**parameters))
    except _FAILURES as error:
        code = _code(error, otherwise=NOT_AN_ANSWER)
    # Raised outside the handler, so that the SDK's exception does not become its context.
    raise AwsError(code)


def _code(error: Exception, *, otherwise: str) -> str:
    """Return the code of an error; ``otherwise`` is the code of an exception that is not the SDK's."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        if not code or code.isdigit():  # the SDK sets the HTTP status for an answer without a code
            return NOT_AN_ANSWER
        return aws_errors.code_after(code, error.operation_name)
    unnamed = type(error).__name__ if isinstance(error, BotoCoreError) else otherwise
    return aws_errors.code_of(error) or unnamed
