"""Opening the phone that is meant, with whoever is there: asked which of several, and what to do at the phone."""

from __future__ import annotations

import time
from collections.abc import Callable

from usbsync.device import detect
from usbsync.device.detect import SeveralPhones
from usbsync.device.locked import check_unlocked
from usbsync.device.spec import Spec
from usbsync.errors import (
    NoDebugging,
    NoPhone,
    PhoneLocked,
    PhoneOffline,
    PhoneUnauthorized,
    UsbsyncError,
)
from usbsync.session.talk import Talk
from usbsync.transport.base import Transport

WAIT_SECONDS = 120.0
"""How long a person may take to do what is asked for."""
LOOK_EVERY = 1.0
_MENDED_AT_THE_PHONE = (NoDebugging, PhoneLocked, PhoneOffline, PhoneUnauthorized)
_AGAIN = ", then run the command again"


def open_phone(
    spec: Spec | None,
    talk: Talk,
    *,
    opened: Callable[..., Transport] = detect.open_phone,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Transport:
    """Open the phone that is named, or the only one there is; one that is not ready is waited for where somebody is there.

    Raises what `detect.open_phone` raises, and PhoneLocked: at once where nobody is there, else after WAIT_SECONDS.
    """
    until, asked = clock() + WAIT_SECONDS, ""
    while True:
        try:
            return _unlocked(opened(spec, on_waiting=talk.waiting))
        except SeveralPhones as error:
            spec = _chosen(error, talk)
            continue
        except _MENDED_AT_THE_PHONE as error:
            if clock() >= until or (str(error) != asked and not talk.please(_to_do(error))):
                raise
            asked = str(error)
        except NoPhone:  # it leaves the bus for a moment while a person is at it
            if not asked or clock() >= until:
                raise
        sleep(LOOK_EVERY)


def _unlocked(link: Transport) -> Transport:
    try:
        check_unlocked(link)
    except BaseException:
        link.close()
        raise
    return link


def _chosen(error: SeveralPhones, talk: Talk) -> Spec:
    number = talk.which([str(phone) for phone in error.phones])
    if number is None:
        raise error
    return detect.spec_of(error.phones[number])


def _to_do(error: UsbsyncError) -> str:
    return f"{error}: {error.hint.removesuffix(_AGAIN)}"
