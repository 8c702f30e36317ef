"""The conformance suite against a real adbd, over a direct link and through a real adb server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from transport.conformance import Place, TransportSuite

from usbsync.transport.ways import Phone, open_server, open_tcp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rigs.phone import TestPhone, TestServer

pytestmark = pytest.mark.adbd


def place_on(transport: Phone, local: Path) -> Place:
    base = f"/sdcard/Android/data/com.ichi2.anki/files/{uuid.uuid4().hex}"
    transport.make_folder(base)
    return Place(transport, base, local)


class TestTcp(TransportSuite):
    @pytest.fixture
    def place(self, shared_phone: TestPhone, tmp_path: Path) -> Iterator[Place]:
        transport = open_tcp("127.0.0.1", shared_phone.port)
        yield place_on(transport, tmp_path)
        transport.close()


class TestServer(TransportSuite):
    @pytest.fixture
    def place(self, shared_adb_server: TestServer, tmp_path: Path) -> Iterator[Place]:
        transport = open_server(shared_adb_server.serial)
        yield place_on(transport, tmp_path)
        transport.close()
