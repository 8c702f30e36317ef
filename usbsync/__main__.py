"""`python -m usbsync`."""

from usbsync.cli import main

main()
