"""Media files in and out: list and hash a media folder, stage what a replica lacks, say the steps of the flip.

A name reaches a transport only after `core.media_names.name_problem` let it pass; until the flip, files have names of ours.
"""
