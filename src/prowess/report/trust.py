"""The page of one skill's trust: tier, capabilities, evidence, history."""

from prowess.guard.account import Account
from prowess.report.page import page


def render_account(found: Account) -> str:
    """The page, as HTML text to be stored as UTF-8."""
    rows = [("declares", found.declared), ("does, as far as can be seen", found.observed), ("may", found.granted)]
    told = [(title, "a manifest that cannot be read" if asked is None else str(asked)) for title, asked in rows]
    return page("trust.html", found=found, capabilities=told)
