"""Reads what agents leave behind: Claude Code, Codex, chat messages, ATIF."""

from prowess.trajectories.importers.files import FORMATS, Progress, detect, import_path
from prowess.trajectories.importers.records import OWN_RUN, Imported, Report

__all__ = ["FORMATS", "OWN_RUN", "Imported", "Progress", "Report", "detect", "import_path"]
