"""Folders of skills with versions, a ledger, patches, scopes, targets and a lock file."""

from prowess.library.library import Library
from prowess.library.records import Change, Proposal, Rejection, Use, Version

__all__ = ["Change", "Library", "Proposal", "Rejection", "Use", "Version"]
