"""The lines that most people write: get the secret, ask for a token, put it; every time.

For the bench. What is good about them is that they are few.
"""

import json
import os

import boto3
import requests

secrets = boto3.client("secretsmanager")
ssm = boto3.client("ssm")


def handler(event: object, context: object) -> None:
    secret = json.loads(secrets.get_secret_value(SecretId=os.environ["ROTATOR_SECRET_ID"])["SecretString"])
    response = requests.post(
        os.environ["ROTATOR_TOKEN_ENDPOINT"],
        auth=(secret["client_id"], secret["client_secret"]),
        data={"grant_type": "client_credentials", "scope": "*"},
        timeout=10,
    )
    response.raise_for_status()
    token = response.json()["access_token"]
    ssm.put_parameter(
        Name=os.environ["ROTATOR_PARAMETER_NAME"], Value=token, Type="SecureString", Overwrite=True
    )
