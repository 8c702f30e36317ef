"""The pipeline, one screen, top to bottom."""
