"""The SDK, making once for a process what is the same in every session and client: most of their cost."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any


def share() -> None:
    """Change the botocore that this process imports, which awscli replaces by its own."""
    from botocore import client, hooks, session

    signature_accepts = hooks.accepts_kwargs

    def accepts_kwargs(function: Any) -> bool:
        if hasattr(function, "__code__"):  # a fiftieth of the time to make its signature
            return bool(function.__code__.co_flags & inspect.CO_VARKEYWORDS)
        return bool(signature_accepts(function))

    hooks.accepts_kwargs = accepts_kwargs  # type: ignore[assignment]
    # What the SDK knows of AWS: reading that takes longer than most tests.
    session.create_loader = cache(session.create_loader)
    # The methods of a client depend on the description of its service alone.
    creator: Any = client.ClientCreator
    creator._create_methods = once_for_a_service(creator._create_methods)
    # The names of events, of which old ones are replaced.
    names: dict[str, str] = {}
    hooks.EventAliaser._alias_name_cache = property(lambda _: names, lambda *_: None)  # type: ignore[attr-defined]


def once_for_a_service(make: Callable[[Any, Any], dict[str, Any]]) -> Callable[[Any, Any], dict[str, Any]]:
    made: dict[int, tuple[Any, dict[str, Any]]] = {}

    def methods(creator: Any, service: Any) -> dict[str, Any]:
        description = service._service_description  # kept beside its methods, so that its id stays its own
        if id(description) not in made:
            made[id(description)] = (description, make(creator, service))
        return dict(made[id(description)][1])

    return methods
