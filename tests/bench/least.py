"""The least that a machine needs for the job: the standard library, and requests signed by hand.

For the bench, to show what part of the cost is the job's own. It has no checks, retries or lease, so do
not use it for anything else. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import base64
import hashlib
import hmac
import json
import os
import ssl
import time
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
connections: dict[str, HTTPSConnection] = {}


def exchange(name: str, url: str, headers: dict[str, str], body: bytes) -> Any:
    parts = urlsplit(url)
    connection = connections.setdefault(name, HTTPSConnection(parts.netloc, context=context, timeout=10))
    connection.request("POST", parts.path or "/", body, headers)
    response = connection.getresponse()
    answer = json.load(response)
    if response.status != 200:
        raise RuntimeError(response.status)
    return answer


def aws(service: str, target: str, **parameters: Any) -> Any:
    """Call an operation of AWS's JSON protocol, signed with Signature Version 4."""
    url, region = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"]
    body = json.dumps(parameters).encode()
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urlsplit(url).netloc,
        "x-amz-date": now,
        "x-amz-target": target,
    }
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={key.hex()}"
    )
    return exchange(service, url, headers, body)


def handler(event: object, context: object) -> None:
    name = os.environ["ROTATOR_PARAMETER_NAME"]
    found = aws("ssm", "AmazonSSM.GetParameters", Names=[name, f"{name}/status"])["Parameters"]
    status = json.loads(next(each["Value"] for each in found if each["Name"] != name))
    if status["renew_at"] > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()):
        return
    renew(name, status)


def renew(name: str, status: object) -> None:
    secret = aws("secretsmanager", "secretsmanager.GetSecretValue", SecretId=os.environ["ROTATOR_SECRET_ID"])
    client = json.loads(secret["SecretString"])
    basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    body = b"grant_type=client_credentials&scope=*"
    token = exchange("token", os.environ["ROTATOR_TOKEN_ENDPOINT"], headers, body)["access_token"]
    put(name, token, "SecureString")
    put(f"{name}/status", json.dumps(status), "String")


def put(name: str, value: str, kind: str) -> None:
    aws("ssm", "AmazonSSM.PutParameter", Name=name, Value=value, Type=kind, Overwrite=True)
