"""All rotations, read from their documents, and the error of each invalid document.

Two rotations must not write the same parameter, so each is checked against those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rotator.config import rotation_documents
from rotator.errors import SettingsError
from rotator.renewal.models import Parameter, Rotation

MAX_SUGGESTED_NAMES = 10
"""The names that the message about an unknown name shows."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The rotations to serve, and by name the error of each invalid document."""

    rotations: tuple[Rotation, ...]
    broken: tuple[tuple[str, SettingsError], ...] = ()
    other_rotations: int | None = 0  # that are not served here, None if their number is unknown

    @property
    def names(self) -> set[str]:
        """The names of all rotations, including those with an invalid document."""
        return {rotation.name for rotation in self.rotations} | {name for name, _ in self.broken}

    def only(self, names: Sequence[str]) -> Fleet:
        """Return the rotations of these names, all for no name; raises SettingsError for an unknown name."""
        if not names:
            return self
        wanted, known = frozenset(names), self.names
        for name in names:
            if name not in known:
                raise unknown(name, known)
        rotations = tuple(r for r in self.rotations if r.name in wanted)
        broken = tuple(b for b in self.broken if b[0] in wanted)
        other_rotations = len(self.rotations) + len(self.broken) - len(rotations) - len(broken)
        return Fleet(rotations=rotations, broken=broken, other_rotations=other_rotations)

    def for_worker(self, names: Sequence[str]) -> Fleet:
        """Return the rotations that one of several workers serves; names without a rotation are ignored.

        If two documents have one name, the valid rotation is served. A scheduled run reports the other.
        """
        rotations = tuple(r for r in self.rotations if r.name in names)
        served = {rotation.name for rotation in rotations}
        broken = tuple(b for b in self.broken if b[0] in names and b[0] not in served)
        return Fleet(rotations=rotations, broken=broken, other_rotations=None)


@dataclass(eq=False)
class Registry:
    """Rotations by their names, and the errors of invalid documents.

    ``kms_key_id`` is the key of documents that name none. ``names`` has the rotation name of each document,
    also of an invalid one, ``places`` the document of each rotation, and ``owners`` the rotation of each
    token, status and lease parameter. ``named`` has the document of each one that an invalid document names.
    """

    path: str
    allowed_hosts: frozenset[str] = frozenset()
    kms_key_id: str | None = None
    rotations: dict[str, Rotation] = field(default_factory=dict)
    refused: dict[str, SettingsError] = field(default_factory=dict)
    documents: dict[str, Parameter] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)

    def enter(self, document: str, parameter: Parameter, read: Rotation | SettingsError) -> None:
        """Enter the rotation that was read from a document, or the error."""
        try:
            rotation = self._fitting(document, read)
        except SettingsError as error:
            name = rotation_documents.document_name(self.path, document)
            self.refused[document] = error
            if parameter_name := rotation_documents.named_parameter(parameter):
                named = (parameter_name, f"{parameter_name}/status", f"{parameter_name}/lease")
                self.named |= dict.fromkeys(named, document)
        else:
            name = rotation.name
            self.rotations[name] = rotation
            self.places[name] = document
            self.owners |= dict.fromkeys(rotation.parameter_names, name)
        self.documents[document] = parameter
        self.names[document] = name

    def judge(self, document: str, parameter: Parameter) -> Rotation:
        """Return the rotation of a document; raises SettingsError for an invalid one, or one in conflict."""
        return self._fitting(document, self.read(document, parameter))

    def read(self, document: str, parameter: Parameter) -> Rotation | SettingsError:
        """Return the rotation of a document, or the document's error; conflicts are not checked."""
        hosts, key = self.allowed_hosts, self.kms_key_id
        try:
            return rotation_documents.read_document(self.path, document, parameter, hosts, key)
        except SettingsError as error:
            return error

    def check_not_named(self, rotation: Rotation) -> None:
        """Raise SettingsError if an invalid document names a parameter of the rotation.

        Once that document is fixed, it may take over the parameter: of two, the first is served.
        """
        for name in rotation.parameter_names:
            if name in self.named:
                raise SettingsError(
                    f"the parameter {name} is also named by the invalid rotation document {self.named[name]}",
                    advice=f"fix or remove {self.named[name]} first, or set parameter_name to another name",
                )

    def _fitting(self, document: str, rotation: Rotation | SettingsError) -> Rotation:
        if isinstance(rotation, SettingsError):
            raise rotation
        if rotation.name in self.rotations:
            raise SettingsError(
                f"two rotation documents have the name {rotation.name}: {self.places[rotation.name]} and "
                f"{document}",
                advice="set another name in one of the two",
            )
        for name in rotation.parameter_names:
            if name in self.owners:
                raise SettingsError(
                    f"the parameter {name} already belongs to the rotation {self.owners[name]}",
                    advice="set parameter_name to another name",
                )
            if name.startswith(f"{self.path}/"):
                raise SettingsError(
                    f"the parameter {name} is under {self.path}, which is only for rotation documents",
                    advice=f"set parameter_name to a name outside {self.path}",
                )
        return rotation

    def documents_of(self, name: str) -> list[str]:
        """Return the documents with a rotation name: none, one, or several if some are invalid."""
        return [document for document, known in self.names.items() if known == name]

    def without(self, *documents: str) -> Registry:
        """Return the registry of all documents except these."""
        excluded = frozenset(documents)
        others = {name: parameter for name, parameter in self.documents.items() if name not in excluded}
        return read(self.path, [others], self.allowed_hosts, kms_key_id=self.kms_key_id)

    def fleet(self) -> Fleet:
        """Return all rotations, and the errors of invalid documents."""
        broken = tuple((self.names[document], error) for document, error in self.refused.items())
        return Fleet(rotations=tuple(self.rotations.values()), broken=broken)


def read(
    path: str,
    pages: Iterable[Mapping[str, Parameter]],
    allowed_hosts: frozenset[str],
    found: Callable[[Rotation], None] = lambda _rotation: None,
    *,
    kms_key_id: str | None = None,
) -> Registry:
    """Return the registry of all documents, entered by name: of two in conflict, the first is valid.

    ``found`` is called with each rotation as soon as its document is read, before the next page. The rotation
    may be refused afterwards.
    """
    registry = Registry(path, allowed_hosts, kms_key_id)
    documents = {}
    for page in pages:
        for document, parameter in page.items():
            rotation = registry.read(document, parameter)
            documents[document] = parameter, rotation
            if isinstance(rotation, Rotation):
                found(rotation)
    for document, (parameter, rotation) in sorted(documents.items()):
        registry.enter(document, parameter, rotation)
    return registry


def unknown(name: str, known: Collection[str], *, patterns: bool = False) -> SettingsError:
    """Return the error for an unknown rotation. ``patterns`` says that the command accepts patterns."""
    import difflib  # few runs need it

    close = difflib.get_close_matches(name[:64], known, n=3)
    if not patterns and any(character in name for character in "*?["):
        advice = "give full names: only `rotator status` accepts patterns"
    elif close:
        advice = f"did you mean {' or '.join(close)}?"
    elif known:
        more = len(known) - MAX_SUGGESTED_NAMES
        names = ", ".join(sorted(known)[:MAX_SUGGESTED_NAMES])
        advice = f"name one of: {names}" + (f" and {more:,} more" if more > 0 else "")
    else:
        advice = "add the rotation with `rotator add`"
    return SettingsError(f"there is no rotation named {name[:64]!r}", advice=advice)
