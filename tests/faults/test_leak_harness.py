"""The search for leaks finds a secret in every output and in every encoding."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable

import pytest

from adapters.caller import BASIC
from fake_ports import CANARY_SECRET
from leak_check import Leaks, credential_forms, token_forms
from rotator.adapters.runtime import aws_client
from rotator.errors import CredentialsError

rotator_log = logging.getLogger("rotator.anything")


def raise_with_cause(secret: str) -> None:
    try:
        try:
            raise ValueError(secret)
        except ValueError as error:
            raise CredentialsError("a problem", advice="an advice") from error
    except CredentialsError:
        """The run makes text of it, as fleet does."""


def raise_with_context(secret: str) -> None:
    try:
        try:
            raise KeyError(secret)
        except KeyError:
            raise CredentialsError("a problem", advice="an advice")  # noqa: B904 - that is the point
    except CredentialsError:
        """Likewise."""


def log_an_exception(secret: str) -> None:
    try:
        raise ValueError(secret)
    except ValueError:
        rotator_log.exception("a message")


CHANNELS: dict[str, Callable[[str], object]] = {
    "message": rotator_log.warning,
    "debug message": rotator_log.debug,
    "argument": lambda secret: rotator_log.info("%s", [secret]),
    "extra": lambda secret: rotator_log.info("a message", extra={"event": {"body": secret}}),
    "exception as an argument": lambda secret: rotator_log.info("%s", ValueError(secret)),
    "exc_info": log_an_exception,
    "botocore at DEBUG": logging.getLogger("botocore.endpoint").debug,
    "urllib3 at DEBUG": logging.getLogger("urllib3.connectionpool").debug,
    "error": lambda secret: CredentialsError(f"it is {secret}", advice="an advice"),
    "attribute of an error": lambda secret: setattr(CredentialsError("a", advice="b"), "body", secret),
    "cause": raise_with_cause,
    "context": raise_with_context,
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_secret_is_found_in_every_place(channel: str, leaks: Leaks) -> None:
    CHANNELS[channel](CANARY_SECRET)
    assert any(CANARY_SECRET in found for found in leaks.found())


def test_secret_in_output_or_return_value_is_found(leaks: Leaks) -> None:
    leaks.hear("stdout", f"token: {CANARY_SECRET}")
    leaks.hear("the return value", {"error": CANARY_SECRET})
    assert leaks.found() == [f"{where} shows {CANARY_SECRET}" for where in ("stdout", "the return value")]


@pytest.mark.parametrize(
    "form",
    [
        CANARY_SECRET,
        "canary-secret%2F%2B%3D",
        base64.b64encode(CANARY_SECRET.encode()).decode(),
        BASIC,
        "Basic " + base64.b64encode(b"client:canary-secret%2F%2B%3D").decode(),
        "the payload: payload-of-it",
        "its signature: signature-of-it",
        base64.b64encode(b"header.payload-of-it.signature-of-it").decode(),
    ],
)
def test_a_secret_is_found_in_every_form(form: str, leaks: Leaks) -> None:
    leaks.secrets |= credential_forms("client", CANARY_SECRET)
    leaks.secrets |= token_forms("header.payload-of-it.signature-of-it")
    rotator_log.info("it was sent as %s", form)
    assert leaks.found() != []


def test_chained_library_exceptions_are_found(leaks: Leaks) -> None:
    raise_with_cause("harmless")
    assert [type(error) for error in leaks.found_foreign()] == [ValueError, ValueError]


def test_silenced_sdk_logger_stays_silent_at_debug(leaks: Leaks) -> None:
    aws_client.keep_sdk_quiet()
    logging.getLogger("botocore.endpoint").debug(CANARY_SECRET)
    assert leaks.found() == []
