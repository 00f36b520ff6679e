"""Task folders: what benchmarks hand out for containers, with a container engine or without."""

from prowess.suites.folders.suite import PREFIX, TaskFolders

__all__ = ["PREFIX", "TaskFolders"]
