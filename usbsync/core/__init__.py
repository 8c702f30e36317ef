"""The pure heart: what each replica did, what becomes of it, and why. No I/O, clock or randomness in here.

Read in this order: `changes` (what one side did since the ancestor), `merge3` (one value), `rules` (THE
table), `reconcile` (all of it together), `plan` (what each side then lacks).
"""
