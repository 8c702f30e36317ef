"""The tables of README that `make bench` measures, and writes there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def show(name: str, lines: Iterable[str]) -> None:
    """Print the lines as they come, and put them in README between the two marks of that name."""
    shown = []
    for line in lines:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        shown.append(line)
    text = README.read_text("utf-8")
    begin, end = f"<!-- measured: {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"README has no place for what was measured: {name}")
    body = "\n".join(shown)
    README.write_text(f"{before}{begin}\n{body}\n\n{end}{after}", "utf-8")
