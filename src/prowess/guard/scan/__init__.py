"""The static scanner: `scan(skill)` lists what blocks a skill and what a person must look at."""

from prowess.guard.scan.engine import SECONDS, TEXT_CAP, TOTAL_CAP, scan, scan_change, scan_files
from prowess.guard.scan.rules import Finding, Rule, Severity, rules, tables
from prowess.guard.scan.whole import FILES_CAP, SKILL_CAP

__all__ = [
    "FILES_CAP", "SECONDS", "SKILL_CAP", "TEXT_CAP", "TOTAL_CAP", "Finding", "Rule", "Severity", "rules", "scan",
    "scan_change", "scan_files", "tables",
]  # fmt: skip
