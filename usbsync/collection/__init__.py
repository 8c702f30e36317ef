"""The only room that opens collections, and only ever copies of them, through Anki's own SQLite.

`snapshot` makes a sound copy, `diff` finds what changed, `build` makes the merged collection and `verify`
proves it. Anki's connection can ATTACH and has the right collation (`unicase`), so the work is done in C
and grows with the collection; what reaches Python grows with the changes.
"""
