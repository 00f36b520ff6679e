"""Text made shorter, for a prompt, a quote or a message. Wherever something is left out, `…` stands in its place."""

MARK = "…"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters from the start of `text`."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + MARK


def one_line(text: str, limit: int) -> str:
    """At most `limit` characters from the start of `text`, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + MARK


def cut(text: str, limit: int) -> str:
    """The first `limit` characters of `text`, and a note that says how many more there are."""
    left = len(text) - limit
    return text if left <= 0 else f"{text[:limit]} {MARK} {left:,} characters more, not shown here"


def first_lines(text: str, limit: int) -> str:
    """About `limit` characters from the start of `text`, on whole lines where that is possible."""
    text = text.strip()
    if len(text) <= limit:
        return text
    part = text[:limit]
    return (part.rpartition("\n")[0] or part) + MARK


def last_lines(text: str, limit: int) -> str:
    """About `limit` characters from the end of `text`, on whole lines where that is possible."""
    text = text.strip()
    if len(text) <= limit:
        return text
    part = text[-limit:]
    return MARK + (part.partition("\n")[2] or part)


def both_ends(text: str, limit: int) -> str:
    """About `limit` characters of `text`, half of them from each end, and how many were left out between."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n{MARK} {len(text) - 2 * half} characters cut {MARK}\n{text[-half:]}"
