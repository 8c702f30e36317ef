"""What a delta carries is enough to make the new file, and no more than what differs, by blocks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbsync.transport.blocks import Span, cut, differing, joined, parts

BLOCK = 4
# few different bytes, so that blocks are often alike
CONTENT = st.lists(st.sampled_from([b"a", b"b", b"aaaa", b"bbbb"]), max_size=12).map(b"".join)


def pieces(data: bytes, blocks: list[Span]) -> list[bytes]:
    return [data[block.start : block.end] for block in blocks]


def changes(old: bytes, new: bytes) -> list[Span]:
    blocks = list(cut([Span(0, len(new))], BLOCK))
    return differing(blocks, pieces(old, blocks), pieces(new, blocks))


@given(old=CONTENT, new=CONTENT, gap=st.integers(0, 9))
def test_old_and_parts_make_new(old: bytes, new: bytes, gap: int):
    spans = joined(changes(old, new), gap)
    inserted = iter(b"".join(pieces(new, spans)))
    at, made = 0, bytearray()
    for part in parts(spans, len(old), len(new)):
        made += old[at : at + part.keep]
        made += bytes(next(inserted) for _ in range(part.insert))
        at += part.keep + part.skip
    assert bytes(made) == new
    assert not list(inserted)


@given(old=CONTENT, new=CONTENT)
def test_only_blocks_that_differ_are_carried(old: bytes, new: bytes):
    for span in changes(old, new):
        assert old[span.start : span.end] != new[span.start : span.end]
    assert changes(new, new) == []


@given(cuts=st.lists(st.integers(0, 60), unique=True, max_size=20), gap=st.integers(0, 9))
def test_joined_spans_cover_the_same_and_stand_further_apart(cuts: list[int], gap: int):
    ends = sorted(cuts)
    spans = [Span(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False)]
    found = joined(spans, gap)
    covered = {at for span in found for at in range(span.start, span.end)}
    assert covered >= {at for span in spans for at in range(span.start, span.end)}
    assert all(after.start - before.end > gap for before, after in pairwise(found))
    assert len(covered) <= sum(map(len, spans)) + gap * len(spans)


@pytest.mark.parametrize("size", [0, 1, 4, 9])
def test_a_cut_leaves_nothing_out(size: int):
    blocks = list(cut([Span(0, size)], BLOCK))
    assert sum(map(len, blocks)) == size
    assert all(len(block) == BLOCK for block in blocks[:-1])
