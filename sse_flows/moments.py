"""Times of documents: jobflow writes that of the machine's zone, without saying which.

Compared as they are, what a machine further west, or one whose clock has just gone back from summer
time, finished later looks older than what it was made of. So our stores write UTC and say so, and
whoever compares two times compares them in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(when: object) -> str:
    """A time of ISO 8601 in UTC, in a form whose order as text is that in time.

    One without a zone is taken for local time of this machine; what is no time stays as it is.

    Examples
    --------
    >>> in_utc("2026-11-22T19:00:00+09:00")
    '2026-11-22T10:00:00.000000+00:00'
    >>> in_utc(None)
    ''
    """
    text = "" if when is None else str(when)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return moment.isoformat(timespec="microseconds")


def local(when: str) -> str:
    """A time of ISO 8601 in the zone of this machine, for people; what is no time stays."""
    try:
        return datetime.fromisoformat(when).astimezone().isoformat()
    except (ValueError, OverflowError):
        return when
