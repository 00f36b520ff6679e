"""Pages about runs, for people: one self-contained HTML file each."""

from prowess.report.page import Trajectories, render
from prowess.report.summary import sentence

__all__ = ["Trajectories", "render", "sentence"]
