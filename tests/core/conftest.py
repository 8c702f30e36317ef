"""Properties of the core are about values: a slow machine is none of them."""

from __future__ import annotations

from hypothesis import Phase, settings

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
settings.register_profile("core", deadline=None, phases=PHASES)
settings.load_profile("core")
