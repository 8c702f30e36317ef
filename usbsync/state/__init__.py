"""What usbsync remembers, one folder per pair of replicas: ancestor, journal, backups, locks; and its settings.

Nothing here is written but through `files.durable_write`: at every moment each file is the old one or the new
one, whole. What another program or a dying disk left half-written is told as DamagedData, never guessed at.
"""
