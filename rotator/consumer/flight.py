"""One piece of work at a time, whoever asks for it: the others wait for the one in flight, or go on."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


class SingleFlight:
    """Does its work in a thread of its own, and once for all who want it at the same time.

    No lock is held while it works or while anybody waits. ``work`` must raise nothing.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.begin_anew()
        _all.add(self)

    def begin_anew(self) -> None:
        """Begin with a free lock and no work: a forked child has its parent's, and none of its threads."""
        self._lock = threading.Lock()
        self.in_flight: threading.Event | None = None

    def join(self, is_wanted: Callable[[], bool]) -> threading.Event | None:
        """Return what is set once the work in flight is done; it is begun here if it is wanted and none is.

        None if it is not wanted, which may have changed while others were asked.
        """
        with self._lock:
            if self.in_flight:
                return self.in_flight
            if not is_wanted():
                return None
            self.in_flight = done = threading.Event()
        try:
            threading.Thread(target=self._run, args=(done,), name="token", daemon=True).start()
        except RuntimeError:  # no thread can be had any more when an interpreter ends
            self._run(done)
        return done

    def _run(self, done: threading.Event) -> None:
        try:
            self._work()
        finally:
            with self._lock:
                self.in_flight = None
            done.set()


_all: weakref.WeakSet[SingleFlight] = weakref.WeakSet()


def _begin_anew_in_a_child() -> None:
    for flight in list(_all):
        flight.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_a_child)
