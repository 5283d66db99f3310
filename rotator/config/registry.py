"""All rotations, read from their documents, or the error of each document.

Two rotations must not write the same parameter, so each is checked against those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rotator.config import rotation_documents
from rotator.errors import SettingsError
from rotator.renewal.models import Parameter, Rotation

MAX_SUGGESTED_NAMES = 10
"""In the message about an unknown name."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The rotations to serve, and by name the error of each broken document.

    ``other_rotations`` counts those that are not served here, None if that is not known.
    """

    rotations: tuple[Rotation, ...]
    broken: tuple[tuple[str, SettingsError], ...] = ()
    other_rotations: int | None = 0

    @property
    def names(self) -> set[str]:
        """The names of all of them."""
        return {rotation.name for rotation in self.rotations} | {name for name, _ in self.broken}

    def only(self, names: Sequence[str]) -> Fleet:
        """Return the rotations of these names, or all of them if no name is given.

        Raises SettingsError for a name that no rotation has.
        """
        if not names:
            return self
        wanted = frozenset(names)
        known = self.names
        for name in names:
            if name not in known:
                raise unknown(name, known)
        rotations = tuple(r for r in self.rotations if r.name in wanted)
        broken = tuple(b for b in self.broken if b[0] in wanted)
        other_rotations = len(self.rotations) + len(self.broken) - len(rotations) - len(broken)
        return Fleet(rotations=rotations, broken=broken, other_rotations=other_rotations)

    def for_worker(self, names: Sequence[str]) -> Fleet:
        """Return the rotations of those of the names that there are, as one worker among others serves them.

        A scheduled run reports two documents of one name; the rotation that has the name is served.
        """
        rotations = tuple(r for r in self.rotations if r.name in names)
        served = {rotation.name for rotation in rotations}
        broken = tuple(b for b in self.broken if b[0] in names and b[0] not in served)
        return Fleet(rotations=rotations, broken=broken, other_rotations=None)


class Registry:
    """Rotations by their names, and the errors of broken documents.

    ``names`` has for every document the name under which it is known, also if it is broken, and ``places``
    for every rotation its document; ``refused`` has why a document is broken. ``owners`` has the rotation of
    every parameter for a token, a status or a lease, and ``named`` the document of each that a broken one
    names. ``kms_key_id`` is the key of documents that name none.
    """

    def __init__(
        self, path: str, allowed_hosts: frozenset[str] = frozenset(), kms_key_id: str | None = None
    ) -> None:
        self.path = path
        self.allowed_hosts = allowed_hosts
        self.kms_key_id = kms_key_id
        self.rotations: dict[str, Rotation] = {}
        self.refused: dict[str, SettingsError] = {}
        self.documents: dict[str, Parameter] = {}
        self.names: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.named: dict[str, str] = {}

    def enter(self, document: str, parameter: Parameter, read: Rotation | SettingsError) -> None:
        """Enter what was read in a document, or why it cannot be used."""
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
        """Return the rotation that a document stands for, without entering it.

        Raises SettingsError if it cannot be read, or has the name or a parameter of one that is entered.
        """
        read = rotation_documents.read_document(
            self.path, document, parameter, self.allowed_hosts, self.kms_key_id
        )
        return self._fitting(document, read)

    def check_not_named(self, rotation: Rotation) -> None:
        """Raise SettingsError if a broken document names a parameter of the rotation.

        Once that is fixed it may take the parameter over: of two, the first one is served.
        """
        for name in rotation.parameter_names:
            if name in self.named:
                raise SettingsError(
                    f"the parameter {name} is named by the document {self.named[name]}, which cannot be used",
                    advice="fix or remove that first, or set parameter_name to another name",
                )

    def _fitting(self, document: str, rotation: Rotation | SettingsError) -> Rotation:
        if isinstance(rotation, SettingsError):
            raise rotation
        if rotation.name in self.rotations:
            raise SettingsError(
                f"two documents are named {rotation.name}: {self.places[rotation.name]} and {document}",
                advice="name one of them otherwise",
            )
        for name in rotation.parameter_names:
            if name in self.owners:
                raise SettingsError(
                    f"the parameter {name} belongs to the rotation {self.owners[name]} already",
                    advice="set parameter_name to another name",
                )
            if name.startswith(f"{self.path}/"):
                raise SettingsError(
                    f"the parameter {name} would stand among the documents under {self.path}",
                    advice="set parameter_name to a name elsewhere",
                )
        return rotation

    def documents_of(self, name: str) -> list[str]:
        """Return the documents that are known under a name: none, one or, where some are broken, several."""
        return [document for document, known in self.names.items() if known == name]

    def without(self, *documents: str) -> Registry:
        """Return the registry of all the other documents."""
        gone = frozenset(documents)
        others = {name: parameter for name, parameter in self.documents.items() if name not in gone}
        return read(self.path, [others], self.allowed_hosts, kms_key_id=self.kms_key_id)

    def fleet(self) -> Fleet:
        """Return all of it."""
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
    """Enter documents in the order of their names: of two that cannot both be, the first counts.

    ``found`` is called with each rotation as soon as its document is read, before the next page; some of them
    may then be refused.
    """
    documents: dict[str, tuple[Parameter, Rotation | SettingsError]] = {}
    for page in pages:
        for document, parameter in page.items():
            try:
                rotation = rotation_documents.read_document(
                    path, document, parameter, allowed_hosts, kms_key_id
                )
            except SettingsError as error:
                documents[document] = parameter, error
            else:
                documents[document] = parameter, rotation
                found(rotation)
    registry = Registry(path, allowed_hosts, kms_key_id)
    for document, (parameter, rotation_or_error) in sorted(documents.items()):
        registry.enter(document, parameter, rotation_or_error)
    return registry


def unknown(name: str, known: Collection[str], *, patterns: bool = False) -> SettingsError:
    """Say that there is no such rotation, with the names that come close or, failing that, the first.

    ``patterns`` says that the name could have been one.
    """
    import difflib  # few runs need it

    close = difflib.get_close_matches(name[:64], known, n=3)
    if not patterns and any(character in name for character in "*?["):
        advice = "give whole names: patterns are for `rotator status` only"
    elif close:
        advice = f"did you mean {' or '.join(close)}?"
    elif known:
        more = len(known) - MAX_SUGGESTED_NAMES
        advice = (
            "name one of: "
            + ", ".join(sorted(known)[:MAX_SUGGESTED_NAMES])
            + (f" and {more:,} more" * (more > 0))
        )
    else:
        advice = "add it with `rotator add`"
    return SettingsError(f"there is no rotation named {name[:64]!r}", advice=advice)
