"""Properties of the core are about values: a slow machine is none of them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("core", deadline=None)
settings.load_profile("core")
