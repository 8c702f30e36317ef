"""A desktop and a phone that were in step."""

from __future__ import annotations

from pathlib import Path

import pytest
from merging import Pair
from worlds import new_collection


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_collection(tmp_path_factory.mktemp("base") / "collection.anki2")


@pytest.fixture
def pair(base: Path, tmp_path: Path) -> Pair:
    return Pair(tmp_path, base)
