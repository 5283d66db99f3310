"""``rotator remove``: deletes the documents of rotations that are no longer needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from rotator.cli import wiring
from rotator.cli.document_editor import existing
from rotator.cli.options import FAILED, stack_option
from rotator.config.registry import Registry
from rotator.config.rotation_documents import DocumentStore
from rotator.errors import ParameterStoreError, SettingsError
from rotator.renewal.ports import NAMES_PER_CALL


@click.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@stack_option
@click.option("--yes", is_flag=True, help="Remove without asking for confirmation.")
def command(names: tuple[str, ...], *, stack: str | None, yes: bool) -> None:
    """Remove rotations; their tokens stay and expire.

    Deletes the rotation documents. NAME is a rotation or its document's name, which begins with "/"; the
    document may be unreadable. Token, status and lease parameters stay.
    """
    rotator = wiring.rotator(stack, needs_path=True)
    registry = rotator.registry()
    documents = chosen(registry, names)
    if not yes:
        _ask(documents)
    removed = remove(registry, documents, wiring.document_store())
    for line in _left(registry, removed, [replica.region for replica in rotator.replicas]):
        click.echo(line)
    if len(removed) < len(documents):
        sys.exit(FAILED)


def remove(registry: Registry, documents: Sequence[str], store: DocumentStore) -> list[str]:
    """Delete documents and report each; return the deleted ones. A failure does not stop the others."""
    gone = []
    for document in documents:
        try:
            done = "removed" if store.delete(document) else "does not exist any more:"
        except ParameterStoreError as error:
            click.echo(f"rotator: {error}", err=True)
        else:
            gone.append(document)
            click.echo(f"{done} {registry.names[document]} ({document})")
    return gone


def chosen(registry: Registry, names: Sequence[str]) -> list[str]:
    """Return the documents of these names, each once; raises the errors of ``existing``."""
    return list(dict.fromkeys(name if name in registry.names else existing(registry, name) for name in names))


def _ask(documents: Sequence[str]) -> None:
    if not sys.stdin.isatty():
        raise SettingsError(
            "standard input is not a terminal, so the deletion cannot be confirmed",
            advice="give --yes to remove without confirmation",
        )
    for document in documents:
        click.echo(document)
    click.confirm(f"Delete {'this document' if len(documents) == 1 else 'these documents'}?", abort=True)


def _left(registry: Registry, removed: Sequence[str], regions: Sequence[str]) -> Iterator[str]:
    """Report the effect on other rotations, what stays, and how to delete it."""
    rest = registry.without(*removed)
    yield from _changes(registry, rest)
    rotations = [each for name, each in registry.rotations.items() if registry.places[name] in removed]
    for name in (each.parameter_name for each in rotations):
        if name in rest.named and name not in rest.owners:
            yield f"{name} is also named by {rest.named[name]}, which cannot be used: fix or remove it."
    written = [name for each in rotations for name in each.parameter_names]
    left = [name for name in written if name not in rest.owners and name not in rest.named]
    if left:
        yield "The parameters stay, and a token is valid until it expires. To delete them with the AWS CLI:"
    for start in range(0, len(left), NAMES_PER_CALL):
        yield f"  aws ssm delete-parameters --names {' '.join(left[start : start + NAMES_PER_CALL])}"
    for region in regions if left else ():
        yield f"The replicas in {region} stay, too: repeat the command with --region {region}."
    if removed and not rest.names:
        yield f"No rotation is left under {registry.path}; the function's runs fail until one is added."


def _changes(registry: Registry, rest: Registry) -> Iterator[str]:
    """Report which other documents are accepted or refused from now on."""
    served = {*registry.places.values()}
    for name, document in rest.places.items():
        if document not in served:
            token = rest.rotations[name].parameter_name
            yield f"From now on {name} is renewed in {token}; until now its document {document} was refused."
    for document, error in rest.refused.items():
        if document in served:
            yield f"From now on the document {document} is refused: {error}"
