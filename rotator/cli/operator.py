"""The adapters of an operator's commands, put together: the function has no use for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotator.adapters.runtime import aws_client
from rotator.config.registry import DocumentStore
from rotator.renewal.models import Summary


def environment(environ: Mapping[str, str], stack: str | None) -> Mapping[str, str]:
    """Return the variables to read settings from: the environment's, or those that a stack gives.

    A stack that is named counts alone; see stack_settings for what it raises.
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
