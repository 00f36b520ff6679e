"""Findings as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the lines."""

from collections.abc import Iterable, Mapping
from typing import Any

from prowess import __version__
from prowess.guard.scan.rules import Finding, rules, tables


def sarif(findings: Mapping[str, Iterable[Finding]]) -> dict[str, Any]:
    """One run with the findings of all skills, by the folder of each, relative to where the reader stands.

    A block is an error, a review a warning. There is no score.
    """
    results = [_result(folder, finding) for folder, found in findings.items() for finding in found]
    used = sorted({result["ruleId"] for result in results})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "prowess", "version": __version__, "rules": [_rule(id) for id in used]}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }


def _rule(id: str) -> dict[str, Any]:
    rule = rules()[id]
    return {
        "id": id,
        "shortDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": _level(rule.severity)},
        "properties": {"tags": ["security", f"{rule.threat}: {tables().threats[rule.threat]}"]},
    }


def _result(folder: str, finding: Finding) -> dict[str, Any]:
    place = "/".join(part for part in (folder.strip("/"), finding.file) if part) or "."
    region = {"region": {"startLine": finding.line, "snippet": {"text": finding.excerpt}}} if finding.line else {}
    return {
        "ruleId": finding.rule,
        "level": _level(finding.severity),
        "message": {"text": f"{finding.why}. {finding.fix[:1].upper()}{finding.fix[1:]}."},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(place)}, **region}}],
    }


def _level(severity: str) -> str:
    return "error" if severity == "block" else "warning"


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path, safe="/")
