"""notifier.py LOG: own org.freedesktop.Notifications on the session bus; write each notification as one line of JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from jeepney import HeaderFields, MessageType, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

ANSWERS = {
    "GetCapabilities": ("as", (["actions", "body", "persistence"],)),
    "GetServerInformation": ("ssss", ("rig", "usbsync", "1", "1.2")),
    "CloseNotification": ("", ()),
}


def main() -> None:
    """Answer until killed."""
    connection = open_dbus_connection()
    connection.send_and_get_reply(message_bus.RequestName("org.freedesktop.Notifications", 4))
    log = Path(sys.argv[1])
    log.touch()
    number = 0
    while True:
        asked = connection.receive()
        if asked.header.message_type is not MessageType.method_call:
            continue
        member = asked.header.fields.get(HeaderFields.member)
        if member == "Notify":
            number += 1
            _, replaces, _, summary, body, *_ = asked.body
            line = {"at": time.monotonic(), "summary": summary, "body": body, "replaces": replaces}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            answer = ("u", (replaces or number,))
        else:
            answer = ANSWERS.get(member, ("", ()))
        connection.send(new_method_return(asked, *answer))


if __name__ == "__main__":
    main()
