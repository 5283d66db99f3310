"""What a program gives away: the places where a secret could hide, and the forms it could have there."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

import pytest

from rotator.errors import RotatorError

# Where secrets pass through, in the function and in the libraries under it. What the product itself keeps
# quiet (botocore below WARNING, urllib3 below ERROR) it must make quiet, whatever the level was before.
LOUD = ("", "rotator", "boto3", "botocore", "urllib3", "requests", "tenacity", "click", "rich")


# The forms of a secret.


def credential_forms(client_id: str, client_secret: str) -> set[str]:
    """The secret as it is, and as it is sent: in a form, and in both dialects of Basic."""
    quoted = quote_plus(client_secret)
    pairs = (f"{client_id}:{client_secret}", f"{client_id}:{quoted}")
    return {client_secret, quoted, *map(_base64, (client_secret, *pairs))}


def token_forms(token: str) -> set[str]:
    """The token as it is, quoted and in Base64; of a JWT also the parts that are its own."""
    return {token, quote_plus(token), _base64(token), *token.split(".")[1:]}


def _base64(text: str) -> str:
    """Without the padding, which may be cut off."""
    return base64.b64encode(text.encode()).decode().rstrip("=")


def secrets_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the secrets in a text."""
    return sorted(secret for secret in secrets if secret in text)


# What an error gives away.


def reported(error: BaseException) -> str:
    """Everything that an error, and all that travels with it, shows if it is printed or inspected."""
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


# What a run gives away.


class Leaks(logging.Handler):
    """Records all output of runs, and reports the secrets in it.

    ``errors`` are all errors of ours that were ever made, also those that only the run saw.
    """

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.secrets: set[str] = set()
        self.errors: list[RotatorError] = []
        self._heard: list[tuple[str, str]] = []

    def hear(self, where: str, what: object) -> None:
        """Keep what was said, as it prints and as it is inspected."""
        said = reported(what) if isinstance(what, BaseException) else f"{what} {what!r}"
        self._heard.append((where, said))

    @contextmanager
    def not_listening(self) -> Iterator[None]:
        """Hear no log for a while: what a test itself writes is its own business."""
        self.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            self.setLevel(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a log record: its message, its arguments and whatever travels with it."""
        where = f"the log of {record.name}"
        self.hear(where, record.getMessage())
        self.hear(where, vars(record))
        errors = [each for each in vars(record).values() if isinstance(each, BaseException)]
        errors += [each for each in record.args or () if isinstance(each, BaseException)]
        if record.exc_info and record.exc_info[1]:
            errors.append(record.exc_info[1])
        for error in errors:
            self.hear(where, error)

    def found(self) -> list[str]:
        """Return the outputs with the secrets that they contain."""
        errors = [(f"a {type(error).__name__}", reported(error)) for error in self.errors]
        everything = [*self._heard, *errors]
        return sorted(
            {f"{where} shows {s}" for where, said in everything for s in secrets_in(said, self.secrets)}
        )

    def found_foreign(self, *ours: type[BaseException]) -> list[BaseException]:
        """The exceptions of libraries that travel with ours: they hold requests, and so secrets."""
        return [each for error in self.errors for each in foreign(error, RotatorError, *ours)]


@contextmanager
def listening() -> Iterator[Leaks]:
    """Hear every log at DEBUG, and see every error of ours that is made, until the body ends."""
    leaks = Leaks()
    make_error = RotatorError.__init__

    def keep(error: RotatorError, problem: str, **options: Any) -> None:
        make_error(error, problem, **options)
        leaks.errors.append(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RotatorError, "__init__", keep)
        for name in LOUD:
            patch.setattr(logging.getLogger(name), "level", logging.DEBUG)
        logging.getLogger().addHandler(leaks)
        _forget_levels()
        try:
            yield leaks
        finally:
            logging.getLogger().removeHandler(leaks)
    _forget_levels()


def _forget_levels() -> None:
    """Loggers remember whether they log at a level until one is set by its method."""
    root = logging.getLogger()
    root.setLevel(root.level)
