"""``rotator add``: one more rotation, or another document for one that is there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import click
from rich.console import Console

from rotator.bootstrap import Rotator
from rotator.cli import wiring
from rotator.cli.doctor_output import print_check
from rotator.cli.document_editor import PreparedDocument, prepare
from rotator.cli.options import print_json, stack_option
from rotator.cli.wiring import rotator_of_many
from rotator.config.registry import Fleet
from rotator.doctor.check import State
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.rotation import check_sources
from rotator.errors import RotatorError
from rotator.renewal.models import Rotation

KEYS = {
    "secret_id": ("NAME", "The secret with the client credentials: its name or ARN."),
    "parameter_name": ("NAME", "The parameter for the token, such as /tenant-a/token."),
    "token_endpoint": ("URL", "Where tokens come from."),
    "scope": ("SCOPE", "The scope to ask for; empty: none."),
    "grant_type": ("GRANT", "What the provider calls the client credentials grant."),
    "token_request_format": ("FORMAT", "form or json."),
    "token_request_params": (
        "JSON",
        'More parameters of the token request, such as \'{"expiration": "3600"}\'.',
    ),
    "token_request_headers": ("JSON", 'More headers of the token request, such as \'{"X-Tenant": "a"}\'.'),
    "client_id_in_body": ("BOOLEAN", "true: send client_id as a parameter, too."),
    "basic_encoding": ("DIALECT", "raw or form."),
    "secret_members": ("JSON", 'Where the secret has them: \'{"client_secret": "oauth.clientSecret"}\'.'),
    "secret_params": ("JSON", 'Parameters out of the secret, such as \'{"password": "api_password"}\'.'),
    "secret_headers": ("JSON", 'Headers out of the secret, such as \'{"X-API-Key": "api_key"}\'.'),
    "response_members": ("JSON", 'Where the answer has them, such as \'{"access_token": "data.token"}\'.'),
    "accepted_token_types": ("TYPES", "Token types to take for Bearer, with commas between."),
    "client_authentication": (
        "METHOD",
        "client_secret_basic, client_secret_post, private_key_jwt or client_secret_jwt.",
    ),
    "signing_key_id": ("KEY", "The KMS key that signs for private_key_jwt."),
    "signing_algorithm": ("ALGORITHM", "Such as ES256; RS256 or, for client_secret_jwt, HS256 if not given."),
    "key_id": ("KID", "The provider's name of the key; or x5t#S256= and a certificate's thumbprint."),
    "assertion_audience": ("URL", "The audience of assertions, if not the token endpoint."),
    "ca_parameter_name": ("NAME", "A String with PEM certificates that the token endpoint may use, too."),
    "secret_rollover": ("BOOLEAN", "false: never try AWSPENDING and AWSPREVIOUS."),
    "renew_at": ("FRACTION", "The fraction of life after which a token is renewed."),
    "lifetime": ("TIME", "A token's life, whatever the endpoint says of it, such as 1h."),
    "fallback_lifetime": ("TIME", "A token's life where the endpoint does not tell it, such as 1h."),
    "kms_key_id": ("KEY", "The token parameter's key, if not the stack's or ROTATOR_KMS_KEY_ID."),
    "tier": ("TIER", "Standard, Advanced or Intelligent-Tiering."),
    "verify_url": ("URL", "Must answer 2xx to a GET with a new token before that is published."),
}
"""The keys of a document, with what each takes; README.md, "Settings", tells more."""

REQUIRED = ("secret_id", "parameter_name")


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for key, (metavar, text) in reversed(KEYS.items()):
        name = f"--{key.replace('_', '-')}"
        command = click.option(name, key, metavar=metavar, help=text, required=key in REQUIRED)(command)
    return command


@click.command("add")
@click.argument("name")
@_options
@stack_option
@click.option("--replace", is_flag=True, help="Change the rotation of this name, which must be there.")
@click.option("--no-check", is_flag=True, help="Neither read the secret nor call the endpoint first.")
@click.option("--dry-run", is_flag=True, help="Print the document, and write nothing.")
def command(
    name: str, *, stack: str | None, replace: bool, no_check: bool, dry_run: bool, **given: str | None
) -> None:
    """Add a rotation: write the document by which the function renews one more token.

    It is judged as the function will judge it, the secret is read, and the endpoint is called; no token is
    requested. What is not given has its default, also with --replace.
    """
    rotator = rotator_of_many(os.environ, stack)
    entry = prepare(rotator, name, {k: v for k, v in given.items() if v is not None}, replace=replace)
    if not no_check:
        from rotator.cli.doctor import instruments

        check(entry.rotation, rotator, instruments(), Console(stderr=True))
    if dry_run:
        print_json(json.loads(entry.text))
        click.echo(f"rotator: {entry.document} would be written; nothing was", err=True)
        return
    entry.write(wiring.document_store(), rotator.registry)
    for line in _report_lines(entry, stack):
        click.echo(line)


def check(rotation: Rotation, rotator: Rotator, tools: Instruments, console: Console) -> None:
    """Let the doctor look at secret and endpoint; raises RotatorError if one of them is not well."""
    subject = Subject(fleet=Fleet(rotations=(rotation,)), guarantee=rotator.guarantee, ports=rotator.ports)
    failed = []
    for found in check_sources(rotation, subject, tools):
        print_check(console, found, with_rotation=False)
        failed += [found.name] * (found.state is not State.OK)
    if failed:
        raise RotatorError(
            f"{rotation.name} was not written, because of its {' and '.join(failed)}",
            advice="fix that, or leave out the check with --no-check",
        )


def _report_lines(entry: PreparedDocument, stack: str | None) -> list[str]:
    name = entry.rotation.name
    function = " --function FUNCTION" if stack else ""
    lines = [
        f"{'changed' if entry.replaces else 'added'} {name}: {entry.document}",
        f"The next run goes by it; `rotator rotate {name}{function}` does so now.",
    ]
    if entry.before and entry.before.parameter_name != entry.rotation.parameter_name:
        left, heir = entry.before.parameter_name, entry.heir
        lines.append(
            f"From now on {heir} is served, in {left}: its document was refused until now."
            if heir
            else f"Nobody renews {left} any more; its token stays until it ends."
        )
    return lines
