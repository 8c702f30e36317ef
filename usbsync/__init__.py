"""usbsync keeps Anki on a computer and AnkiDroid on a phone in step over a USB cable.

Words used everywhere: a *replica* is one of the two sides, `desktop` or `phone`; the *ancestor* is
the collection as both held it after the last sync; a *change* is what one replica did since; to
*reconcile* is to turn the changes of both into decisions; a *plan* is those decisions as ordered steps;
to *stage* is to put new files beside the old ones and to *flip* is to put them in their place.
"""

__version__ = "0.1.0"
