"""A desktop and two phones, each syncing when it likes: whatever the order, all three come to hold the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from core import model
from core.edits import EDITS, Hand
from core.model import SEP, World, sync
from core.test_laws import BASE, apart, faults, laws, small
from hypothesis import given
from hypothesis import strategies as st

from usbsync.core.changes import Table
from usbsync.core.conflict import Policy, Settlement, Side

DESKTOP, FIRST, SECOND = range(3)

acts = st.tuples(
    st.sampled_from([DESKTOP, FIRST, SECOND]),
    st.sampled_from(sorted(EDITS)),
    small,
    small,
    small,
    st.integers(0, 2),
)
histories = st.lists(acts | st.sampled_from([FIRST, SECOND]), max_size=10)
"""What somebody does on a replica, or a phone that is synced."""


@dataclass
class Three:
    """The replicas, what each phone held at its last sync, and what must not get lost."""

    policy: Policy
    hands: list[Hand] = field(default_factory=list)
    ancestors: dict[int, World | None] = field(default_factory=dict)
    must: set[str] = field(default_factory=set)
    answers: list[tuple] = field(default_factory=list)
    told: str = ""

    @classmethod
    def of(cls, policy: Policy, *, strangers: bool) -> Three:
        hands = [
            Hand(side, BASE.copy(), acts=100 * at)
            for at, side in enumerate((Side.DESKTOP, Side.PHONE, Side.PHONE))
        ]
        ancestors = {phone: None if strangers else BASE.copy() for phone in (FIRST, SECOND)}
        return cls(policy, hands, ancestors)

    def edit(self, who: int, name: str, *numbers: int) -> None:
        hand = self.hands[who]
        before, answered = words(hand.world), hand.world[Table.REVLOG].keys()
        *which, seconds = numbers
        for other in self.hands:  # one clock for all
            other.now += seconds
        hand.acts += 1
        answered = set(answered)
        EDITS[name](hand, *which)
        after = words(hand.world)
        self.must = (self.must - (before - after)) | (after - before)
        self.answers += [row[1:] for key, row in hand.world[Table.REVLOG].items() if key not in answered]

    def sync(self, phone: int):
        desktop, other = self.hands[DESKTOP], self.hands[phone]
        base = self.ancestors[phone] or model.common(desktop.world, other.world)
        merged = sync(base, desktop.world, other.world, Settlement(self.policy))
        desktop.world, other.world = merged.worlds[Side.DESKTOP].copy(), merged.worlds[Side.PHONE].copy()
        self.ancestors[phone] = other.world.copy()
        self.told += " ".join(f"{c.title} {c.ancestor} {c.desktop} {c.phone}" for c in merged.conflicts)
        return merged

    def play(self, history) -> None:
        for each in history:
            if isinstance(each, tuple):
                self.edit(*each)
            else:
                self.sync(each)

    def held(self) -> set[str]:
        return set().union(*(words(hand.world) for hand in self.hands))


def words(world: World) -> set[str]:
    """Return every text that stands in some note's field."""
    return {text for note in world[Table.NOTES].values() for text in note.flds.split(SEP) if text}


policies = st.sampled_from([Policy.NEWEST, Policy.DESKTOP, Policy.PHONE])
orders = st.sampled_from([(FIRST, SECOND, FIRST), (SECOND, FIRST, SECOND)])


@laws
@given(histories, orders, policies, st.booleans())
def test_three_replicas_converge(history, order, policy, strangers):
    three = Three.of(policy, strangers=strangers)
    three.play(history)
    for phone in order:
        three.sync(phone)
    desktop, *phones = (hand.world for hand in three.hands)
    cleared = [each[1:] for each in history if isinstance(each, tuple)]
    for phone in phones:
        assert not apart(World(), desktop, phone, cleared)
        assert phone.col.crt == desktop.col.crt
    for phone in (FIRST, SECOND):
        again = three.sync(phone)
        assert again.plan.empty
        assert not again.conflicts


@laws
@given(histories, policies, st.booleans())
def test_no_word_of_three_is_lost_in_silence(history, policy, strangers):
    three = Three.of(policy, strangers=strangers)
    three.play(history)
    three.play([FIRST, SECOND, FIRST])
    assert {word for word in three.must - three.held() if word not in three.told} == set()


@laws
@given(histories, policies, st.booleans())
def test_no_answer_of_three_is_lost_and_none_counts_twice(history, policy, strangers):
    three = Three.of(policy, strangers=strangers)
    three.play(history)
    three.play([FIRST, SECOND, FIRST])
    for hand in three.hands:
        kept = sorted(row[2:] for row in hand.world[Table.REVLOG].values())
        assert kept == sorted(
            [row[2:] for row in BASE[Table.REVLOG].values()] + [row[1:] for row in three.answers]
        )


@laws
@given(histories, policies, st.booleans())
def test_what_three_come_to_is_sound(history, policy, strangers):
    three = Three.of(policy, strangers=strangers)
    for each in [*history, FIRST, SECOND, FIRST]:
        three.play([each])
        if not isinstance(each, tuple):
            assert not faults(three.hands[DESKTOP].world)
            assert not faults(three.hands[each].world)
