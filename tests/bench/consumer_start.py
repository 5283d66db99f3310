"""What the reading side costs a process that starts: beside the plain SDK, which it cannot do without.

``python tests/bench/consumer_start.py`` runs both in turns, each in a process of its own, and reports ratios.
"""

from __future__ import annotations

import logging
import os
import statistics
import subprocess
import sys

from moto.server import ThreadedMotoServer

from rotator.devstack.aws_emulators import client_environment
from rotator.devstack.deployment import Account
from rotator.devstack.http_server import free_port

ROUNDS = 15
NAME = "/healthwise/token"
WAYS = {
    "SDK": (
        "import boto3",
        f"boto3.client('ssm').get_parameter(Name='{NAME}', WithDecryption=True)['Parameter']['Value']",
    ),
    "rotator.consumer": ("from rotator.consumer import TokenSource", f"TokenSource('{NAME}').token()"),
}
PROGRAM = """
from time import perf_counter as now
begin = now(); {0}; imported = now(); {1}; print(imported - begin, now() - imported)
"""


def measure(way: str) -> tuple[float, float]:
    """Seconds for the import, and for the first token after it."""
    program = PROGRAM.format(*WAYS[way])
    reported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    imported, first = map(float, reported.split())
    return imported, first


def main() -> None:
    """Report the medians of the rounds, as ratios."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(client_environment(f"http://{host}:{port}"))
    account = Account(f"http://{host}:{port}")
    account.client("ssm").put_parameter(Name=NAME, Value="token", Type="SecureString")
    rounds = [{way: measure(way) for way in WAYS} for _ in range(ROUNDS)]
    server.stop()
    for number, what in enumerate(("import", "first token", "both")):
        ratios = []
        for each in rounds:
            plain, ours = (
                (sum(each[way]) if what == "both" else each[way][number])
                for way in ("SDK", "rotator.consumer")
            )
            ratios.append(ours / plain)
        print(
            f"{what:12} rotator.consumer : SDK = {statistics.median(ratios):.2f}"
            f"  ({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} pairs)"
        )


if __name__ == "__main__":
    main()
