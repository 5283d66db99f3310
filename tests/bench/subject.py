"""What runs in the measured process: a handler, once or more.

``subject.py MODULE``: one call, as cold as it gets. ``subject.py MODULE TIMES``: before each call a line is
read, and after it a line of JSON has its wall and CPU seconds, all threads together.
"""

import sys
import time
from importlib import import_module


class Context:
    """What Lambda hands in, with the most time that it gives."""

    aws_request_id = "bench"

    def __init__(self) -> None:
        self._end = time.monotonic() + 900

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._end - time.monotonic()))


def main(name: str, times: str = "0") -> None:
    module = import_module(name)
    handler = getattr(module, "lambda_handler", None) or module.handler
    if times == "0":
        handler({}, Context())
    for _ in range(int(times)):
        sys.stdin.readline()
        wall, cpu = time.perf_counter(), time.process_time()
        handler({}, Context())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f'{{"wall": {wall}, "cpu": {cpu}}}', flush=True)


main(*sys.argv[1:])
