"""A rotation as an operator wants it, made into the document that the function reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rotator.bootstrap import Rotator
from rotator.config import rotation_documents
from rotator.config.registry import Fleet, Registry, unknown
from rotator.config.rotation_documents import DocumentStore
from rotator.errors import ConcurrentUpdate, SettingsError
from rotator.renewal.models import TIER_LIMITS, Parameter, Rotation

MAX_DOCUMENT_BYTES = TIER_LIMITS["Standard"]
"""Bytes of a document. The function reads it at every run, so it is no place for more."""


@dataclass(frozen=True, kw_only=True)
class PreparedDocument:
    """A rotation's document as it will be stored; ``before`` is the rotation of that name until now.

    ``heir`` is the rotation that has the token's parameter of that one then, if another has.
    """

    rotation: Rotation
    document: str
    text: str
    replaces: bool
    before: Rotation | None = None
    heir: str | None = None

    def write(self, documents: DocumentStore, now_stored: Callable[[], Registry]) -> None:
        """Store the document; raises SettingsError if another operator has just added one of that name.

        The SDK repeats a call whose response was lost. The second call then finds the document of the first.
        """
        if self.replaces:
            documents.replace(self.document, self.text)
            return
        try:
            documents.create(self.document, self.text)
        except ConcurrentUpdate as error:
            stored = now_stored().documents.get(self.document)
            if stored and stored.value == self.text:
                return
            raise _taken(self.rotation.name, self.document) from error


def prepare(rotator: Rotator, name: str, given: Mapping[str, Any], *, replace: bool) -> PreparedDocument:
    """Make the document of these keys and judge it as the function will, among all the others.

    Raises SettingsError for whatever the function would refuse, for a name that is taken (with ``replace``:
    that is not), for a parameter that a broken document names, and for an overlap contract that cannot hold.
    """
    name = rotation_documents.read_name(name, new=not replace)
    path = rotator.settings.rotations_path or ""
    usual = f"{path}/{name}"
    wanted = rotation_documents.read_options(name, given, rotator.settings.allowed_hosts)
    registry = rotator.registry()
    document = _place(registry, name, usual, replace=replace)
    text = _text(wanted, rotation_documents.document_name(path, document))
    others = registry.without(document)
    rotation = others.judge(document, _as_stored(text))
    before = registry.rotations.get(name)
    if before is None or before.parameter_name != rotation.parameter_name:
        others.check_not_named(rotation)
    rotator.check_overlap(Fleet(rotations=(rotation,)))
    return PreparedDocument(
        rotation=rotation,
        document=document,
        text=text,
        replaces=replace,
        before=before,
        heir=others.owners.get(before.parameter_name) if before else None,
    )


def _place(registry: Registry, name: str, usual: str, *, replace: bool) -> str:
    """Where the document belongs: where its rotation has it already, or below the path by its name."""
    documents = registry.documents_of(name)
    if len(documents) > 1:
        raise ambiguous(name, documents)
    if not replace:
        if documents:
            raise _taken(name, documents[0])
        if usual in registry.names:
            raise _taken(registry.names[usual], usual)
        return usual
    if not documents:
        raise unknown(name, {*registry.names.values()})
    if registry.documents[documents[0]].type != "String":  # a type cannot be changed (API_PutParameter)
        raise SettingsError(
            f"the document {documents[0]} is a {registry.documents[documents[0]].type}",
            advice=f"`rotator remove {name}`, and add it half a minute later",
        )
    return documents[0]


def _text(rotation: Rotation, default_name: str) -> str:
    """The document's text: what differs from the defaults."""
    usual = vars(Rotation(name=default_name, secret_id="", parameter_name=""))
    text = _dump({key: value for key, value in vars(rotation).items() if value != usual[key]})
    size = len(text.encode())
    if size > MAX_DOCUMENT_BYTES:
        raise SettingsError(
            f"the document of {rotation.name} has {size:,} bytes, and may have {MAX_DOCUMENT_BYTES:,}",
            advice="shorten scope, verify_url, or the settings that are JSON",
        )
    return text


def _dump(fields: Mapping[str, Any]) -> str:
    """JSON as Parameter Store takes it: no value may hold anything in double brackets.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html (Value)
    """
    return json.dumps(fields, default=dict).replace("{{", "{\\u007b")


def _as_stored(text: str) -> Parameter:
    return Parameter(value=text, version=1, type="String")


def _taken(name: str, document: str) -> SettingsError:
    return SettingsError(
        f"there is a rotation {name} already, in the document {document}",
        advice="choose another name, or give --replace to change it",
    )


def ambiguous(name: str, documents: list[str]) -> SettingsError:
    """Say that several documents are known under one name."""
    return SettingsError(
        f"several documents are known as {name}: " + ", ".join(documents),
        advice="remove all but one, each by its full name, which begins with /",
    )
