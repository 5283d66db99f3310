"""django-oauth-toolkit, a server that follows RFC 6749 strictly, as a process on loopback.

Reads ``{"client_id": ..., "client_secret": ...}`` from its input, prints the token endpoint, and ends
when its input does. Its addresses: ``/o/token/``, and ``/open/`` which wants a token.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from rotator.devstack.http_server import serving


def main() -> None:
    """Serve until the input ends."""
    client = json.loads(sys.stdin.readline())
    with (
        tempfile.TemporaryDirectory(prefix="rotator-django-") as folder,
        serving(build_app(Path(folder), **client)) as address,
    ):
        sys.stdout.write(f"{address}/o/token/\n")
        sys.stdout.flush()
        sys.stdin.read()


def build_app(folder: Path, *, client_id: str, client_secret: str) -> object:
    """A project with nothing but the toolkit, one client registered."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="of this process only",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        OAUTH2_PROVIDER={"SCOPES": {"topics": "Read topics"}, "ACCESS_TOKEN_EXPIRE_SECONDS": 7200},
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    application = get_application_model()
    application.objects.create(
        name="rotator",
        client_id=client_id,
        client_secret=client_secret,
        client_type=application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=application.GRANT_CLIENT_CREDENTIALS,
    )
    return get_wsgi_application()


def __getattr__(name: str) -> object:
    """Django asks for ``urlpatterns`` when it is set up, and not before."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.http import HttpResponse
    from django.urls import include, path
    from oauth2_provider.decorators import protected_resource

    def topics(_request: object) -> HttpResponse:
        return HttpResponse("open")

    return [
        path("o/", include("oauth2_provider.urls")),
        path("open/", protected_resource(scopes=["topics"])(topics)),
    ]


if __name__ == "__main__":
    main()
