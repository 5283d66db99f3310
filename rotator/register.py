"""Many rotations, read from their documents: what each says, or what is wrong with it.

Rotations must not get in each other's way, so each is judged by those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rotator import settings
from rotator.errors import SettingsError
from rotator.fleet import Fleet
from rotator.model import Parameter, Rotation


class Register:
    """Rotations by their names, and what is wrong with the others.

    ``names`` has for every document the name under which it is known, also if it is broken, and ``places``
    for every rotation its document.
    """

    def __init__(self, path: str, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self.path = path
        self.allowed_hosts = allowed_hosts
        self.rotations: dict[str, Rotation] = {}
        self.broken: list[tuple[str, SettingsError]] = []
        self.documents: dict[str, Parameter] = {}
        self.names: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def enter(self, document: str, parameter: Parameter, read: Rotation | SettingsError) -> None:
        """Enter what was read in a document, or why it cannot be used."""
        try:
            rotation = self._fitting(document, read)
        except SettingsError as error:
            name = settings.document_name(self.path, document)
            self.broken.append((name, error))
        else:
            name = rotation.name
            self.rotations[name] = rotation
            self.places[name] = document
            self._written |= dict.fromkeys((rotation.parameter_name, rotation.status_name), name)
        self.documents[document] = parameter
        self.names[document] = name

    def judge(self, document: str, parameter: Parameter) -> Rotation:
        """Return the rotation that a document stands for, without entering it.

        Raises SettingsError if it cannot be read, or has the name or a parameter of one that is entered.
        """
        read = settings.read_document(self.path, document, parameter, self.allowed_hosts)
        return self._fitting(document, read)

    def _fitting(self, document: str, rotation: Rotation | SettingsError) -> Rotation:
        if isinstance(rotation, SettingsError):
            raise rotation
        if rotation.name in self.rotations:
            raise SettingsError(
                f"two documents are named {rotation.name}: {self.places[rotation.name]} and {document}",
                advice="name one of them otherwise",
            )
        for name in (rotation.parameter_name, rotation.status_name):
            if name in self._written:
                raise SettingsError(
                    f"the parameter {name} belongs to the rotation {self._written[name]} already",
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

    def without(self, document: str) -> Register:
        """Return the register of all the other documents."""
        others = {name: parameter for name, parameter in self.documents.items() if name != document}
        return read(self.path, [others], self.allowed_hosts)

    def fleet(self) -> Fleet:
        """Return all of it."""
        return Fleet(rotations=tuple(self.rotations.values()), broken=tuple(self.broken))


def read(
    path: str,
    pages: Iterable[Mapping[str, Parameter]],
    allowed_hosts: frozenset[str],
    found: Callable[[Rotation], None] = lambda _rotation: None,
) -> Register:
    """Enter documents in the order of their names: of two that cannot both be, the first counts.

    ``found`` is told each rotation as soon as its document is read, while the next page is still to come, and
    may learn of some that are then refused.
    """
    documents: dict[str, tuple[Parameter, Rotation | SettingsError]] = {}
    for page in pages:
        for document, parameter in page.items():
            try:
                rotation = settings.read_document(path, document, parameter, allowed_hosts)
            except SettingsError as error:
                documents[document] = parameter, error
            else:
                documents[document] = parameter, rotation
                found(rotation)
    register = Register(path, allowed_hosts)
    for document, (parameter, rotation_or_error) in sorted(documents.items()):
        register.enter(document, parameter, rotation_or_error)
    return register
