"""The rotator and the adapters of an operator's commands, put together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rotator import bootstrap
from rotator.adapters.operator import document_store as documents
from rotator.adapters.operator import stack_settings
from rotator.adapters.runtime import aws_client
from rotator.bootstrap import Rotator
from rotator.config.environment import nothing_is_set
from rotator.config.rotation_documents import DocumentStore
from rotator.errors import SettingsError
from rotator.observability import logs

ROTATIONS_PATH = "ROTATOR_ROTATIONS_PATH"


def environment(stack: str | None) -> Mapping[str, str]:
    """Return the variables with the settings: those of the stack if one is named, else the process's."""
    return stack_settings.stack_variables(stack) if stack else os.environ


def document_store() -> DocumentStore:
    """Make the store that operators write documents to."""
    return documents.SsmDocumentStore(aws_client.client("ssm"))


@contextmanager
def more_advice(addition: str, *, applies: bool) -> Iterator[None]:
    """Append to the advice of a SettingsError, if the addition applies."""
    try:
        yield
    except SettingsError as error:
        if not applies:
            raise
        raise SettingsError(error.problem, advice=f"{error.advice}{addition}") from error


def rotator(stack: str | None = None, *, needs_path: bool = False) -> Rotator:
    """Return the rotator with the settings; if there are none, the error recommends the demo.

    With ``needs_path``, raises SettingsError if the settings have no path of rotation documents.
    """
    variables = environment(stack)
    if needs_path and not variables.get(ROTATIONS_PATH):
        problem = f"{ROTATIONS_PATH} is not set"
        advice = "set it to the path of rotation documents, such as /rotator/rotations, or give --stack"
        if stack:
            problem = f"the stack {stack} has one rotation, and no path for rotation documents"
            advice = "name a stack that was deployed with RotationsPath"
        raise SettingsError(problem, advice=advice)
    is_new = not stack and nothing_is_set(variables)
    with more_advice(", or run `make demo` to see it work without AWS", applies=is_new):
        made = bootstrap.build(variables)
    logs.configure(made.settings.log_level)
    return made
