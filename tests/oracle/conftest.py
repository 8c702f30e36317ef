"""One sync server for each worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from oracle.ankiweb import AnkiWeb, serving
from oracle.seeds import ACCOUNTS


@pytest.fixture(scope="session")
def ankiweb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnkiWeb]:
    with serving(tmp_path_factory.mktemp("ankiweb"), ACCOUNTS) as web:
        web.seed()
        yield web
