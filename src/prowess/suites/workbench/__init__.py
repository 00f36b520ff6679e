"""Procedural office tasks with house rules; one module a family."""

from prowess.suites.workbench.suite import Workbench

__all__ = ["Workbench"]
