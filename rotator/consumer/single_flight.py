"""One piece of work at a time, whoever asks for it: the others wait for the one in flight, or go on."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


class SingleFlight:
    """Does its work in a thread of its own, and once for all who want it at the same time.

    No lock is held while it works or while anybody waits.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.begin_anew()
        _all.add(self)

    def begin_anew(self) -> None:
        """Begin with a free lock and no work: a forked child has its parent's, and none of its threads."""
        self._lock = threading.Lock()
        self.in_flight: threading.Event | None = None
        self._worker: int | None = None

    def join(self, is_wanted: Callable[[], bool]) -> threading.Event | None:
        """Return what is set once the work in flight is done; it begins here if it is wanted and none is.

        None if it is not wanted, which is judged while nobody else can begin it; and for the work itself,
        which must not wait for its own end.
        """
        with self._lock:
            if self.in_flight:
                return None if self._worker == threading.get_ident() else self.in_flight
            if not is_wanted():
                return None
            done = threading.Event()
            has_started = self._start(done)
        if not has_started:
            self._run(done)
        return done

    def _start(self, done: threading.Event) -> bool:
        """Return whether a thread could be started. What interrupts this leaves nothing in flight."""
        try:
            self.in_flight = done
            threading.Thread(target=self._run, args=(done,), name="token", daemon=True).start()
        except RuntimeError:  # as when the interpreter ends
            return False
        except BaseException:
            self.in_flight = None
            raise
        return True

    def _run(self, done: threading.Event) -> None:
        self._worker = threading.get_ident()
        try:
            self._work()
        finally:
            with self._lock:
                self.in_flight = self._worker = None
            done.set()


_all: weakref.WeakSet[SingleFlight] = weakref.WeakSet()


def _begin_anew_in_a_child() -> None:
    for flight in list(_all):
        flight.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_a_child)
