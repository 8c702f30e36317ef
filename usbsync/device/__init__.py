"""The two replicas: which desktop collection (desktop), which phone (spec, detect), which folder on it (ankidroid).

A *spec* is what a person calls a phone on the command line. A *package* is an installed AnkiDroid: there may be
several (a debug build, parallel builds), and all of them must be stopped while their folder is written.
"""
