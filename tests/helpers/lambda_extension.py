"""A stand-in for the AWS Parameters and Secrets Lambda Extension: its documented interface, and its cache.

https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-integration-lambda-extensions.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.wrappers import Request, Response

from rotator.devstack.http_server import serving

TTL = 300
"""Seconds: ``SSM_PARAMETER_STORE_TTL``, by default and at most."""

Read = Callable[[str], Mapping[str, object]]
"""Reads a parameter, decrypted: what GetParameter answers. Raises what may go wrong."""


class ParameterCache:
    """Returns a cached value until its time to live is over, even if the parameter has changed."""

    def __init__(self, read: Read, clock: Callable[[], float], ttl: float = TTL) -> None:
        self._read = read
        self._clock = clock
        self._ttl = ttl
        self._kept: dict[str, tuple[float, Mapping[str, object]]] = {}

    def get(self, name: str) -> Mapping[str, object]:
        """Return the parameter, at most ``ttl`` seconds old."""
        since, answer = self._kept.get(name, (-self._ttl, {}))
        if self._clock() - since >= self._ttl:
            answer = self._read(name)
            self._kept[name] = (self._clock(), answer)
        return answer


class Extension:
    """Serves a cache as the extension does, to callers with the function's session token."""

    def __init__(self, cache: ParameterCache, session_token: str) -> None:
        self._cache = cache
        self._session_token = session_token

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.headers.get("X-Aws-Parameters-Secrets-Token") != self._session_token:
            return Response("not authorized", 401)
        unknown = request.args.keys() - {"name", "version", "label", "withDecryption"}
        if request.path.rstrip("/") != "/systemsmanager/parameters/get" or unknown:
            return Response("bad request", 400)
        if request.args.get("withDecryption") != "true":
            return Response("the stand-in knows decrypted parameters only", 501)
        try:
            answer = self._cache.get(request.args["name"])
        except Exception:  # noqa: BLE001 - whatever AWS's answer was
            return Response("Parameter Store did not answer", 500)
        return Response(json.dumps(answer, default=str), content_type="application/json")


@contextmanager
def running_extension(cache: ParameterCache, session_token: str) -> Iterator[Mapping[str, str]]:
    """Serve while the body runs; gives the variables with its address for a function."""
    with serving(Extension(cache, session_token)) as address:
        port = address.rpartition(":")[2]
        yield {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": port, "AWS_SESSION_TOKEN": session_token}
