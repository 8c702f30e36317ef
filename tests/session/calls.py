"""Interruptions counted by the calls of the transports, whichever calls there are.

`counted` wraps a transport in a class made for it, with every public method it has, so that a way of moving bytes
that is added tomorrow is counted and interrupted like the others.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from session.scenes import World

from usbsync.core.conflict import Side
from usbsync.errors import PhoneGone
from usbsync.session import meet
from usbsync.transport.base import Push
from usbsync.transport.wrap import When

End = Callable[[], object]


def killed() -> NoReturn:
    """End this process as the kernel does: no `except` and no `finally` runs."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def lost() -> NoReturn:
    raise PhoneGone("the link was lost")


@dataclass
class Calls:
    """The calls of one side's transport, and where and how they end (at=0: nowhere)."""

    at: int = 0
    when: When = When.BEFORE
    end: End = lost
    seen: list[str] = field(default_factory=list)

    def meet(self, name: str, method: Callable, args: tuple, more: dict) -> object:
        self.seen.append(name)
        if self.at and len(self.seen) > self.at:
            return self.end()
        if len(self.seen) != self.at:
            return method(*args, **more)
        if self.when is When.INSIDE:
            half(name, method, args, more)
        if self.when is When.AFTER:
            method(*args, **more)
        return self.end()


HALVES = ("pull", "push", "apply")


def half(name: str, method: Callable, args: tuple, more: dict) -> None:
    """Do half of a call's files or steps, the next file torn."""
    every = list(args[0])
    done, torn = every[: len(every) // 2], every[len(every) // 2 :][:1]
    method(done, *args[1:], **more)
    if name == "pull":
        method(torn, *args[1:], **more)
        for each in torn:
            os.truncate(each.target, each.target.stat().st_size // 2)
    if name == "push":
        for each in torn:
            part = each.source.with_name(f"{each.source.name}.torn")
            data = each.source.read_bytes()
            part.write_bytes(data[: len(data) // 2])
            method([Push(part, each.target, each.mtime)], *args[1:], **more)
            part.unlink()


def counted(inner, calls: Calls):
    """Wrap a transport so that each of its calls is counted, and one of them ends as `calls` says."""

    def method(name: str):
        return lambda _self, *args, **more: calls.meet(name, getattr(inner, name), args, more)

    kind = type(inner)
    public = [name for name in dir(kind) if not name.startswith("_") and name != "close"]
    methods = {name: method(name) for name in public if callable(getattr(kind, name))}
    properties = {
        name: property(lambda _self, name=name: getattr(inner, name)) for name in {*public} - methods.keys()
    }
    return type(
        f"Counted{kind.__name__}", (), {**methods, **properties, "close": lambda _self: inner.close()}
    )()


def steps_apart(inner):
    """Let each step of an `apply` be a call of its own, so that one can be interrupted between any two."""
    kind = type(inner)

    def apply(self, steps) -> None:
        for step in steps or [()]:
            kind.apply(self, [step] if step else [])

    inner.__class__ = type(f"Stepwise{kind.__name__}", (kind,), {"apply": apply})
    return inner


def interrupted(world: World, run: Callable, patch, *, stepwise: bool = False, **calls: Calls) -> None:
    """Run with the transports of the sides that are named (desktop, phone) counted."""
    open_phone, open_folder = meet.open_phone, meet.open_folder

    def wrapped(side: Side, inner):
        if side not in calls:
            return inner
        made = counted(inner, calls[side])
        return steps_apart(made) if stepwise else made

    with patch.context() as patched:
        patched.setattr(
            meet, "open_phone", lambda *args, **more: wrapped(Side.PHONE, open_phone(*args, **more))
        )
        patched.setattr(meet, "open_folder", lambda path: wrapped(Side.DESKTOP, open_folder(path)))
        run()
