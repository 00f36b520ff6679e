"""Worlds: suites whose tasks are played, by text, step by step. `docs/worlds.md` has a section for each."""
