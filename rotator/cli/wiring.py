"""The rotator and the adapters of an operator's commands, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotator import bootstrap
from rotator.adapters.runtime import aws_client
from rotator.bootstrap import Rotator
from rotator.config.environment import nothing_is_set
from rotator.config.rotation_documents import DocumentStore
from rotator.errors import SettingsError
from rotator.observability import logs
from rotator.renewal.models import Summary

PATH = "ROTATOR_ROTATIONS_PATH"


def environment(environ: Mapping[str, str], stack: str | None) -> Mapping[str, str]:
    """Return the variables with the settings: those of the stack if one is named, else the environment's.

    Raises the errors of stack_settings.stack_variables.
    """
    if not stack:
        return environ
    from rotator.adapters.operator.stack_settings import stack_variables

    return stack_variables(stack)


def document_store() -> DocumentStore:
    """Make the store that operators write documents to."""
    from rotator.adapters.operator.document_store import SsmDocumentStore

    return SsmDocumentStore(aws_client.client("ssm"))


def invoke_function(name: str, event: Mapping[str, Any]) -> Summary:
    """Run the deployed function and return its summary; see lambda_invoke for what it raises."""
    from rotator.adapters.operator import lambda_invoke

    return Summary.from_dict(lambda_invoke.invoke(name, event))


def rotator(environ: Mapping[str, str], stack: str | None = None) -> Rotator:
    """Return the rotator with these settings; if there are none, the error recommends the demo."""
    try:
        made = bootstrap.build(environment(environ, stack))
    except SettingsError as error:
        if not stack and nothing_is_set(environ):
            advice = f"{error.advice}, or run `make demo` to see it work without AWS"
            raise SettingsError(error.problem, advice=advice) from error
        raise
    logs.configure(made.settings.log_level)
    return made


def rotator_of_many(environ: Mapping[str, str], stack: str | None) -> Rotator:
    """Read the settings of multiple rotations; raises SettingsError if they have no path of documents."""
    variables = environment(environ, stack)
    if not variables.get(PATH):
        if stack:
            problem = f"the stack {stack} has one rotation, and no path for rotation documents"
            raise SettingsError(problem, advice="name a stack that was deployed with RotationsPath")
        raise SettingsError(
            f"{PATH} is not set",
            advice="set it to the path of rotation documents, such as /rotator/rotations, or give --stack",
        )
    return rotator(variables)
