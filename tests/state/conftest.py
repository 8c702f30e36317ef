"""A process that dies, or a disk that fails, at any call into the operating system."""

from __future__ import annotations

import os
import shutil
from functools import partial

import pytest

from usbsync.state.pair import Pair

CALLS = ("open", "replace", "fsync", "unlink", "mkdir", "rmdir")


class Died(BaseException):
    """The process is dead: nothing after this reaches the disk."""


class Fault:
    """Fail at the `at`-th call into the operating system; a dead process fails at all that follow too."""

    def __init__(self, at, *, after=False, dead=False):
        self.at, self.after, self.dead = at, after, dead
        self.calls = 0

    def around(self, call):
        def wrapped(*args, **kwargs):
            self.calls += 1
            if self.dead and self.calls > self.at:
                raise Died
            if self.calls != self.at:
                return call(*args, **kwargs)
            if self.after:
                call(*args, **kwargs)
            raise Died if self.dead else OSError(5, "a fault of the test")

        return wrapped


def every_fault(run, monkeypatch):
    """Call `run(inject)` for each call that the operation makes, each way it can fail; yield what was injected.

    `run` does everything, fresh, with `inject(operation)` around what is to be disturbed, and returns True when the
    operation ended undisturbed.
    """
    for after in (False, True):
        for dead in (False, True):
            at, undisturbed = 0, False
            while not undisturbed:
                at += 1
                fault = Fault(at, after=after, dead=dead)
                undisturbed = run(partial(_do, fault=fault, monkeypatch=monkeypatch))
                assert at < 300
            assert at > 3  # the faults were really in the way


def _do(work, fault, monkeypatch):
    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, fault.around(getattr(os, name)))
        try:
            work()
        except (OSError, Died):
            return False
        except BaseException as error:
            patch.undo()
            raise AssertionError(f"call {fault.at}: {error!r}") from error
    return fault.calls < fault.at


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path / "home", "/home/me/Anki2/User 1", "R58M123ABC")


@pytest.fixture
def disturbed(tmp_path, monkeypatch):
    """Run a scenario in a fresh home under every fault."""

    def run(scenario):
        def fresh(inject):
            home = tmp_path / "disturbed"
            shutil.rmtree(home, ignore_errors=True)
            return scenario(Pair(home, "desk", "phone"), inject)

        every_fault(fresh, monkeypatch)

    return run
