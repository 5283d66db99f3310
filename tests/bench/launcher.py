"""Start a program from a small process, and write what it used: ``launcher.py FILE PROGRAM ARGUMENT...``.

A child's peak memory is never less than its parent's was when it was started, so this one imports nothing.
"""

import os
import sys
import time

file, *program = sys.argv[1:]
began = time.perf_counter()
child = os.posix_spawn(program[0], program, os.environ)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - began
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(file, "w", encoding="ascii") as output:  # noqa: PTH123 - pathlib would cost memory
    output.write(f'{{"wall": {wall}, "cpu": {used.ru_utime + used.ru_stime}, "peak": {peak}}}')
sys.exit(os.waitstatus_to_exitcode(status))
