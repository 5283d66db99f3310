"""Makes the rotation document that an operator's options describe, and checks it as the function does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rotator.bootstrap import Rotator
from rotator.config import rotation_documents
from rotator.config.registry import Registry, unknown
from rotator.config.rotation_documents import DocumentStore
from rotator.errors import ConcurrentUpdate, SettingsError
from rotator.renewal.models import TIER_LIMITS, Parameter, Rotation

MAX_DOCUMENT_BYTES = TIER_LIMITS["Standard"]
"""The largest document: the free tier's limit. The function reads every document in each run."""


@dataclass(frozen=True, kw_only=True)
class PreparedDocument:
    """A rotation's document, ready to be stored.

    If it ``replaces`` a document, ``before`` is the rotation in that document, None if it was invalid. The
    rotation named ``heir``, if there is one, takes over the token parameter of ``before``.
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
        try:
            documents.write(self.document, self.text, overwrite=self.replaces)
        except ConcurrentUpdate as error:
            if self.replaces:
                raise
            stored = now_stored().documents.get(self.document)
            if stored and stored.value == self.text:
                return
            raise _taken(self.rotation.name, self.document) from error


def prepare(rotator: Rotator, name: str, given: Mapping[str, Any], *, replace: bool) -> PreparedDocument:
    """Make the document with these keys, and check it together with all other documents.

    Raises SettingsError if the function would refuse the document, an invalid document names its parameter,
    the guarantee cannot hold, or the name is taken (with ``replace``: unknown).
    """
    name = rotation_documents.read_name(name, new=not replace)
    path = rotator.settings.rotations_path or ""
    wanted = rotation_documents.read_options(name, given, rotator.settings.allowed_hosts)
    registry = rotator.registry()
    document = _place(registry, name, f"{path}/{name}", replace=replace)
    text = _text(wanted, rotation_documents.document_name(path, document))
    others = registry.without(document)
    rotation = others.judge(document, Parameter(value=text, version=1, type="String"))
    before = registry.rotations.get(name)
    if before is None or before.parameter_name != rotation.parameter_name:
        others.check_not_named(rotation)
    rotator.settings.check_overlap([rotation])
    return PreparedDocument(
        rotation=rotation,
        document=document,
        text=text,
        replaces=replace,
        before=before,
        heir=others.owners.get(before.parameter_name) if before else None,
    )


def existing(registry: Registry, name: str) -> str:
    """Return the document of a rotation; raises SettingsError if there is none, or several have the name."""
    documents = registry.documents_of(name)
    if not documents:
        raise unknown(name, {*registry.names.values()})
    if len(documents) > 1:
        raise SettingsError(
            f"several documents have the name {name}: " + ", ".join(documents),
            advice="remove all but one, each by its full name, which begins with /",
        )
    return documents[0]


def _place(registry: Registry, name: str, usual: str, *, replace: bool) -> str:
    """Return the name of the document: the existing one, or for a new rotation ``usual``."""
    if not replace:
        if registry.documents_of(name):
            raise _taken(name, existing(registry, name))
        if usual in registry.names:
            raise _taken(registry.names[usual], usual)
        return usual
    document = existing(registry, name)
    kind = registry.documents[document].type
    if kind != "String":  # a type cannot be changed (API_PutParameter)
        advice = f"run `rotator remove {name}`, wait 30 s, and add it again"
        raise SettingsError(f"the document {document} is a {kind}", advice=advice)
    return document


def _text(rotation: Rotation, default_name: str) -> str:
    """Return the document's text, with the settings that differ from their defaults."""
    usual = vars(Rotation(name=default_name, secret_id="", parameter_name=""))
    fields = {key: value for key, value in vars(rotation).items() if value != usual[key]}
    # A value must not contain double braces:
    # https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html (Value)
    text = json.dumps(fields, default=dict).replace("{{", "{\\u007b")
    size = len(text.encode())
    if size > MAX_DOCUMENT_BYTES:
        raise SettingsError(
            f"the document of {rotation.name} has {size:,} bytes, and may have {MAX_DOCUMENT_BYTES:,}",
            advice="shorten scope, verify_url, or the settings that are JSON",
        )
    return text


def _taken(name: str, document: str) -> SettingsError:
    return SettingsError(
        f"there is a rotation {name} already, in the document {document}",
        advice="choose another name, or give --replace to change it",
    )
