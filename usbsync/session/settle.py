"""What becomes of both sides' changes: reconciled, and where a person wants to be asked, as they say."""

from __future__ import annotations

from usbsync.core.asking import Said, ask_all
from usbsync.core.changes import Changes, Context
from usbsync.core.conflict import Policy, Settlement, Weight
from usbsync.core.plan import Plan, make_plan
from usbsync.core.reconcile import reconcile
from usbsync.errors import ChoiceNeeded
from usbsync.session.options import Options
from usbsync.session.talk import Talk


def decide(desktop: Changes, phone: Changes, context: Context, options: Options, talk: Talk) -> Plan:
    """Plan what both sides are to become.

    Raises ChoiceNeeded where somebody is to be asked and there is nobody, or they want nothing changed.
    """
    asked = options.prefer is Policy.ASK
    policy = Policy.NEWEST if asked else options.prefer
    result = reconcile(desktop, phone, context, Settlement(policy, logic=options.merge))
    said = Said()
    # an answer may bring up a conflict that another outcome had hidden
    while asked and (
        open_ := [c for c in result.conflicts if c.weight is Weight.LOST and c.where not in said.answers]
    ):
        said = _answered(ask_all(open_, talk.settle, said))
        result = reconcile(desktop, phone, context, Settlement(policy, said.answers, options.merge))
    return make_plan(desktop, phone, result)


def _answered(said: Said) -> Said:
    if said.stopped:
        raise ChoiceNeeded("you stopped; nothing was changed", hint="run the command again; it asks anew")
    if said.nobody:
        raise ChoiceNeeded(
            # without its title: where nobody can be asked this may go into a log
            f"a {said.nobody.kind} changed on both sides ({said.nobody.unit}), and there is nobody to ask; "
            "nothing was changed",
            hint="run it in a terminal, or use --prefer newest, desktop or phone",
        )
    return said
