"""``python -m rotator.devstack``: runs only the embedded Authorization API, to try requests."""

from __future__ import annotations

import signal
from contextlib import suppress

from rotator import extras

with extras.missing_package_reported("local"):
    import click

    from rotator.devstack.authorization_api import SAMPLE_CLIENTS, AuthorizationApi
    from rotator.devstack.http_server import serving


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on; 0 selects a free one."
)
@click.option("--client-id", default="demo", show_default=True, help="The id of an additional client.")
@click.option("--client-secret", default="demo+secret/==", show_default=True, help="The client's secret.")
@click.option(
    "--basic-encoding",
    type=click.Choice(["raw", "form"]),
    default="raw",
    show_default=True,
    help="The encoding of id and secret in Basic: raw, as documented, or form, as in RFC 6749.",
)
def main(port: int, client_id: str, client_secret: str, basic_encoding: str) -> None:
    """Run the embedded Authorization API on 127.0.0.1 until interrupted.

    The registered clients are the given one and those of the documentation's samples.
    """
    api = AuthorizationApi({client_id: client_secret}, basic_encoding=basic_encoding)
    with serving(api.app, port) as url, suppress(KeyboardInterrupt):
        click.echo(f"{url}/oauth2/token (clients: {client_id}, {', '.join(SAMPLE_CLIENTS)})")
        signal.pause()


if __name__ == "__main__":
    main()
