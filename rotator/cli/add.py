"""``rotator add``: adds a rotation, or changes one with ``--replace``."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
from rich.console import Console

from rotator.bootstrap import Rotator
from rotator.cli import wiring
from rotator.cli.doctor import instruments, print_check
from rotator.cli.document_editor import PreparedDocument, prepare
from rotator.cli.options import print_json, stack_option
from rotator.config.registry import Fleet
from rotator.doctor.check import State
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.rotation import RotationChecks
from rotator.errors import RotatorError
from rotator.renewal.models import Rotation, Stored

KEYS = {
    "secret_id": ("NAME", "Name or ARN of the secret with the client credentials."),
    "parameter_name": ("NAME", "Parameter to write the token to, such as /tenant-a/token."),
    "token_endpoint": ("URL", "Token endpoint. Default: https://auth.healthwise.net/oauth2/token."),
    "scope": ("SCOPE", "Scope to request, such as 'read write'; empty for none. Default: *."),
    "grant_type": ("GRANT", "Grant type to send. Default: client_credentials."),
    "token_request_format": ("FORMAT", "Format of the token request: form (default) or json."),
    "token_request_params": (
        "JSON",
        'Extra parameters of the token request, such as \'{"expiration": "3600"}\'.',
    ),
    "token_request_headers": ("JSON", 'Extra headers of the token request, such as \'{"X-Tenant": "a"}\'.'),
    "client_id_in_body": ("BOOLEAN", "true also sends client_id as a parameter. Default: false."),
    "basic_encoding": (
        "ENCODING",
        "Encoding of client_id and client_secret for Basic: raw (default) or form.",
    ),
    "secret_members": (
        "JSON",
        'Members of the secret with other names, such as \'{"client_secret": "oauth.clientSecret"}\'.',
    ),
    "secret_params": (
        "JSON",
        'Request parameters whose values are in the secret, such as \'{"password": "api_password"}\'.',
    ),
    "secret_headers": (
        "JSON",
        'Request headers whose values are in the secret, such as \'{"X-API-Key": "api_key"}\'.',
    ),
    "response_members": (
        "JSON",
        'Members of the answer with other names, such as \'{"access_token": "data.token"}\'.',
    ),
    "accepted_token_types": ("TYPES", "Token types to accept as Bearer, separated by commas, such as JWT."),
    "client_authentication": (
        "METHOD",
        "client_secret_basic (default), client_secret_post, private_key_jwt or client_secret_jwt.",
    ),
    "signing_key_id": ("KEY", "KMS key (ARN, id or alias) that signs for private_key_jwt."),
    "signing_algorithm": ("ALGORITHM", "Such as ES256. Default: RS256; HS256 for client_secret_jwt."),
    "key_id": ("KID", "Key id (kid) at the provider, or x5t#S256= and a certificate's thumbprint."),
    "assertion_audience": ("URL", "Audience of assertions. Default: the token endpoint."),
    "ca_parameter_name": ("NAME", "String parameter with PEM certificates to trust at the token endpoint."),
    "secret_rollover": ("BOOLEAN", "false tries AWSCURRENT only, not AWSPENDING or AWSPREVIOUS."),
    "renew_at": ("FRACTION", "Fraction of the lifetime at which a token is renewed. Default: 0.667."),
    "lifetime": ("TIME", "Lifetime of tokens, in place of what the endpoint states, such as 1h."),
    "fallback_lifetime": ("TIME", "Lifetime of tokens if the endpoint states none, such as 1h."),
    "kms_key_id": ("KEY", "KMS key of the token parameter. Default: ROTATOR_KMS_KEY_ID."),
    "tier": ("TIER", "Standard, Advanced or Intelligent-Tiering (default)."),
    "verify_url": ("URL", "URL that must answer a GET with the new token with 2xx before it is published."),
}
"""The keys of a rotation document: metavar and help of each one's option."""

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
@click.option(
    "--replace", is_flag=True, help="Change an existing rotation; options left out get their default."
)
@click.option(
    "--no-check", is_flag=True, help="Write without reading the secret and calling the endpoint first."
)
@click.option("--dry-run", is_flag=True, help="Print the rotation document; write nothing.")
def command(
    name: str, *, stack: str | None, replace: bool, no_check: bool, dry_run: bool, **given: str | None
) -> None:
    """Add a rotation, or change one with --replace.

    Writes a rotation document, from which the function's next run takes the rotation. Before that, the
    settings are checked as the function checks them, the secret is read and the endpoint is called. No token
    is requested.

    \b
    Example:
      rotator add tenant-a --secret-id tenant-a/client --parameter-name /tenant-a/token
    """  # noqa: D301
    rotator = wiring.rotator(stack, needs_path=True)
    entry = prepare(rotator, name, {k: v for k, v in given.items() if v is not None}, replace=replace)
    if not no_check:
        check(entry.rotation, rotator, instruments(), Console(stderr=True))
    if dry_run:
        print_json(json.loads(entry.text))
        click.echo(f"rotator: {entry.document} would be written; nothing was written", err=True)
        return
    entry.write(wiring.document_store(), rotator.registry)
    click.echo(_report(entry, stack))


def check(rotation: Rotation, rotator: Rotator, tools: Instruments, console: Console) -> None:
    """Run the doctor's checks of secret and endpoint; raises RotatorError if one of them fails."""
    subject = Subject(fleet=Fleet(rotations=(rotation,)), settings=rotator.settings, ports=rotator.ports)
    failed = []
    for found in RotationChecks(rotation, Stored(), subject, tools).sources():
        print_check(console, found, with_rotation=False)
        failed += [found.name] * (found.state is not State.OK)
    if failed:
        raise RotatorError(
            f"{rotation.name} was not written: its {' and '.join(failed)} failed the check",
            advice="fix it, or skip the check with --no-check",
        )


def _report(entry: PreparedDocument, stack: str | None) -> str:
    rotation, before = entry.rotation, entry.before
    function = " --function FUNCTION" if stack else ""
    report = f"{'changed' if entry.replaces else 'added'} {rotation.name}: {entry.document}\n"
    report += f"The next run uses it. To run now: rotator rotate {rotation.name}{function}"
    if before is None or before.parameter_name == rotation.parameter_name:
        return report
    left = before.parameter_name
    if entry.heir:
        effect = f"From now on {entry.heir} is renewed in {left}; until now its document was refused."
    else:
        effect = f"No rotation renews {left} any more; its token stays there and expires."
    return f"{report}\n{effect}"
