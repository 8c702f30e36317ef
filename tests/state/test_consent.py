"""What a person allowed is kept, phone by phone, and can be taken back."""

from __future__ import annotations

import pytest

from usbsync.errors import DamagedData
from usbsync.state.consent import (
    NAME,
    Answer,
    Consent,
    allowed,
    forget_consent,
    load_consents,
    remember_consent,
)


def consent(phone="R58M", answer=Answer.YES, collection="/a/collection.anki2", since=1.0):
    return Consent(phone, answer, collection, since)


def test_nothing_is_allowed_and_nothing_written_before_anybody_said_so(tmp_path):
    assert load_consents(tmp_path) == {}
    assert forget_consent(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_last_answer_stands(tmp_path):
    for answer in (Answer.TOLD, Answer.NO, Answer.YES):
        remember_consent(tmp_path, consent(answer=answer))
    remember_consent(tmp_path, consent("other", Answer.NO, None))
    known = load_consents(tmp_path)
    assert known["R58M"] == consent()
    assert [allowed(known, phone) for phone in ("R58M", "other", "new")] == [Answer.YES, Answer.NO, None]


def test_it_is_taken_back_for_one_or_all(tmp_path):
    for phone in ("a", "b", "c"):
        remember_consent(tmp_path, consent(phone))
    assert forget_consent(tmp_path, "b") == ("b",)
    assert forget_consent(tmp_path, "b") == ()
    assert set(load_consents(tmp_path)) == {"a", "c"}
    assert sorted(forget_consent(tmp_path)) == ["a", "c"]
    assert load_consents(tmp_path) == {}


def test_a_device_with_endless_serials_fills_no_disk_and_pushes_out_nobodys_answer(tmp_path):
    remember_consent(tmp_path, consent("mine", since=0.0))
    for at in range(70):
        remember_consent(tmp_path, consent(f"fake{at}", Answer.TOLD, None, float(at)))
    known = load_consents(tmp_path)
    assert len(known) == 51
    assert known["mine"].answer is Answer.YES
    assert "fake69" in known


def test_a_garbled_answer_allows_nothing(tmp_path):
    remember_consent(tmp_path, consent())
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes().replace(b"yes", b"yea"))
    with pytest.raises(DamagedData):
        load_consents(tmp_path)
