"""The pipeline: meet, snapshot, compare, reconcile, plan, build, verify, apply, remember.

Read `sync.py`: it is the whole of it on a few screens. `meet` opens both replicas and keeps them still,
`apply` is the only module that changes a replica, `recover` finishes or gives up what `apply` was cut off from.
"""
