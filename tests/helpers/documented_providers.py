"""Token requests, answers and refusals as providers document them; infra/docs/providers.md links to them.

A refusal that a provider does not document is as its users report it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCESS_TOKEN = "canary-token-of-the-provider"
CLIENT_CREDENTIALS = {"grant_type": "client_credentials"}
Body = Mapping[str, Any] | str


def _bearer(expires_in: int | str, **more: Any) -> Callable[[], Body]:
    return lambda: {
        "access_token": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": expires_in,
        **more,
    }


@dataclass(frozen=True, kw_only=True)
class Documented:
    """A provider's token endpoint by its documentation.

    ``endpoint`` and the values of ``form`` are patterns. ``basic`` is the encoding of Basic; without it and
    without an ``algorithm`` the credentials are in the form. ``key_name`` is the member of a JWT's header
    that names the key. ``gateway_header`` must have the gateway's key, or ``gateway_refusal`` is the answer.
    """

    endpoint: str
    form: Mapping[str, str] = field(default_factory=lambda: CLIENT_CREDENTIALS)
    basic: str | None = None
    algorithm: str | None = None
    key_name: str = "kid"
    gateway_header: str | None = None
    gateway_refusal: tuple[int, Body] | None = None
    answer: Callable[[], Body]
    lifetime: int
    refusal: tuple[int, Body]


def _with(**parameters: str) -> dict[str, str]:
    return {**CLIENT_CREDENTIALS, **parameters}


_ENTRA = "https://login.microsoftonline.com/[^/]+"


def _aadsts(number: int, text: str) -> tuple[int, Body]:
    return 401, {
        "error": "invalid_client",
        "error_description": f"AADSTS{number}: {text}",
        "error_codes": [number],
        "timestamp": "2026-11-27 10:00:00Z",
        "trace_id": "255d1aef-8c98-452f-ac51-23d051240864",
        "correlation_id": "fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7",
    }


DOCUMENTED = {
    "Healthwise": Documented(
        endpoint="https://auth.healthwise.net/oauth2/token",
        form=_with(scope=r"\*"),
        basic="raw",
        answer=_bearer(86400, scope="*"),
        lifetime=86400,
        refusal=(401, {"error": "invalid_client"}),
    ),
    "Keycloak": Documented(
        endpoint="https://[^/]+/realms/[^/]+/protocol/openid-connect/token",
        basic="form",
        answer=_bearer(300, refresh_expires_in=0, scope="email profile", **{"not-before-policy": 0}),
        lifetime=300,
        refusal=(
            401,
            {
                "error": "unauthorized_client",
                "error_description": "Invalid client or Invalid client credentials",
            },
        ),
    ),
    "Auth0": Documented(
        endpoint=r"https://[\w.-]+\.auth0\.com/oauth/token",
        form=_with(audience="https://.+"),
        answer=_bearer(86400),
        lifetime=86400,
        refusal=(401, {"error": "access_denied", "error_description": "Unauthorized"}),
    ),
    "Okta, for your own APIs": Documented(
        endpoint=r"https://[\w-]+\.okta\.com/oauth2/\w+/v1/token",
        form=_with(scope=".+"),
        basic="raw",
        answer=_bearer(3600, scope="customScope"),
        lifetime=3600,
        refusal=(
            401,
            {
                "error": "invalid_client",
                "error_description": "The client secret supplied for a confidential client is invalid.",
            },
        ),
    ),
    "Okta, for Okta's APIs": Documented(
        endpoint=r"https://[\w-]+\.okta\.com/oauth2/v1/token",
        form=_with(scope=r"okta\.\w+\.\w+"),
        algorithm="RS256",
        answer=_bearer(3600, scope="okta.users.read"),
        lifetime=3600,
        refusal=(
            401,
            {
                "error": "invalid_client",
                "error_description": "Client authentication failed. Either the client or the client "
                "credentials are invalid.",
            },
        ),
    ),
    "Entra ID v2, secret": Documented(
        endpoint=f"{_ENTRA}/oauth2/v2.0/token",
        form=_with(scope=r"https://.+/\.default"),
        answer=_bearer(3599, ext_expires_in=3599),
        lifetime=3599,
        refusal=_aadsts(7000215, "Invalid client secret provided."),
    ),
    "Entra ID v2, certificate": Documented(
        endpoint=f"{_ENTRA}/oauth2/v2.0/token",
        form=_with(scope=r"https://.+/\.default", client_id=".+"),
        algorithm="PS256",
        key_name="x5t#S256",
        answer=_bearer(3599, ext_expires_in=3599),
        lifetime=3599,
        refusal=_aadsts(700027, "Client assertion failed signature validation."),
    ),
    "Entra ID v1": Documented(
        endpoint=f"{_ENTRA}/oauth2/token",
        form=_with(resource="https://.+"),
        answer=lambda: {
            "access_token": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": "3599",
            "expires_on": str(int(time.time()) + 3599),
            "resource": "https://service.contoso.com/",
        },
        lifetime=3599,
        refusal=_aadsts(7000215, "Invalid client secret provided."),
    ),
    "Apigee": Documented(
        endpoint="https://[^/]+/oauth/token",
        basic="raw",
        answer=lambda: {
            "issued_at": "1420262924658",
            "application_name": "ce1e94a2-9c3e-42fa-a2c6-1ee01815476b",
            "scope": "READ",
            "status": "approved",
            "api_product_list": "[PremiumWeatherAPI]",
            "expires_in": "1799",
            "developer.email": "tesla@weathersample.com",
            "organization_id": "0",
            "token_type": "BearerToken",
            "client_id": "5jUAdGv9pBouF0wOH5keAVI35GBtx3dT",
            "access_token": ACCESS_TOKEN,
            "organization_name": "docs",
            "refresh_token_expires_in": "0",
            "refresh_count": "0",
        },
        lifetime=1799,
        refusal=(401, {"ErrorCode": "invalid_client", "Error": "Client credentials are invalid"}),
    ),
    "Azure API Management": Documented(
        endpoint=r"https://[\w-]+\.azure-api\.net/oauth/token",
        basic="raw",
        gateway_header="Ocp-Apim-Subscription-Key",
        gateway_refusal=(
            401,
            {
                "statusCode": 401,
                "message": "Access denied due to invalid subscription key. "
                "Make sure to provide a valid key for an active subscription.",
            },
        ),
        answer=_bearer(3600),
        lifetime=3600,
        refusal=(401, {"error": "invalid_client"}),
    ),
    "Salesforce": Documented(
        endpoint=r"https://[\w-]+\.my\.salesforce\.com/services/oauth2/token",
        answer=lambda: {
            "access_token": ACCESS_TOKEN,
            "signature": "5jUAdGv9pBouF0wOH5keAVI35GBtx3dT=",
            "scope": "cdp_query_api api",
            "instance_url": "https://mydomain.my.salesforce.com",
            "id": "https://mydomain.my.salesforce.com/id/00fdg000000dfgfgs/00gfd000000fsdghjr",
            "token_type": "Bearer",
            "issued_at": "4564564565767",
        },
        lifetime=7200,
        refusal=(400, {"error": "invalid_client", "error_description": "invalid client credentials"}),
    ),
    "ServiceNow": Documented(
        endpoint=r"https://[\w-]+\.service-now\.com/oauth_token\.do",
        answer=_bearer(1799, scope="useraccount"),
        lifetime=1799,
        refusal=(401, {"error_description": "access_denied", "error": "server_error"}),
    ),
    "Shopify": Documented(
        endpoint=r"https://[\w-]+\.myshopify\.com/admin/oauth/access_token",
        answer=lambda: {
            "access_token": ACCESS_TOKEN,
            "scope": "read_products,write_products",
            "expires_in": 86399,
        },
        lifetime=86399,
        refusal=(
            400,
            "<!DOCTYPE html><html><head><title>400 - Oauth error invalid_request</title></head></html>",
        ),
    ),
    "Zoom": Documented(
        endpoint="https://zoom.us/oauth/token",
        form={"grant_type": "account_credentials", "account_id": ".+"},
        basic="raw",
        answer=lambda: {
            "access_token": ACCESS_TOKEN,
            "token_type": "bearer",
            "expires_in": 3600,
            "scope": "user:read:user:admin",
            "api_url": "https://api.zoom.us",
        },
        lifetime=3600,
        refusal=(400, {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}),
    ),
    "Spotify": Documented(
        endpoint="https://accounts.spotify.com/api/token",
        basic="form",
        answer=_bearer(3600),
        lifetime=3600,
        refusal=(400, {"error": "invalid_client", "error_description": "Invalid client secret"}),
    ),
    "SMART Backend Services": Documented(
        endpoint="https://.+/token",
        form=_with(scope=r"system/\S+"),
        algorithm="ES384",
        answer=_bearer(300, scope="system/*.rs", token_type="bearer"),
        lifetime=300,
        refusal=(400, {"error": "invalid_client", "error_description": "the signature is not valid"}),
    ),
    "NHS England": Documented(
        endpoint=r"https://([\w-]+\.)?api\.service\.nhs\.uk/oauth2/token",
        algorithm="RS512",
        answer=_bearer("599"),
        lifetime=599,
        refusal=(
            401,
            {
                "error": "public_key error",
                "error_description": "JWT signature verification failed",
                "message_id": "rrt-1-a-b-1",
            },
        ),
    ),
}
