"""Bytes to and from a replica: one interface (`base`), four ways (`folder`, `adb_link`, `adb_server`, `memory`)."""
