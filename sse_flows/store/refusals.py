"""Why a MongoDB cannot be used, and what mends it: logins, rights, certificates, addresses."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass

from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError

from sse_flows.errors import SSEError, without_secrets

AUTHENTICATION_FAILED, UNAUTHORIZED = 18, 13
"""Codes of MongoDB: the login failed; the user has no right to that."""

_LOGIN = (
    "Check user, password and authSource (the database that knows the user); `sse init cluster "
    "--force` asks for the password again"
)
_RIGHTS = (
    "Ask its keeper for the role readWrite on that database, or for read where only status, "
    "results and reports are wanted"
)
_AUTHORITY = "Name the file of the certificate to trust: --tls-ca-file of `sse init cluster`"
_ANSWER = "Check host and port, and that it runs and can be reached from here"

# parts of what the driver says, in the order of their weight
_CERTIFICATES = (
    (
        ("hostname mismatch", "ip address mismatch", "doesn't match"),
        "its certificate is of another host name",
        "Connect by a name that is in the certificate",
    ),
    (
        ("certificate has expired", "certificate is not yet valid"),
        "its certificate is not valid at this time",
        "Ask its keeper for a new one, or set the clock",
    ),
    (("certificate_verify_failed",), "nothing here vouches for its certificate", _AUTHORITY),
)
_CONNECTIONS = (
    (
        ("unexpected_eof", "wrong_version_number", "eof occurred", "record layer failure"),
        "it does not encrypt, or not as we do",
        "Leave out --tls and --tls-ca-file if it does not encrypt at all",
    ),
    (
        ("connection reset by peer", "connection closed"),
        "it closed the connection",
        "Pass --tls to `sse init cluster` if it wants that, with --tls-ca-file if need be",
    ),
    (("connection refused",), "nothing answers at that port", _ANSWER),
    (("name or service not known", "dns query name", "nodename"), "no such host", _ANSWER),
)
_NOT_AUTHORIZED = re.compile(r"not authorized on (\S+) to execute command \{ *(\w+)")


@dataclass(frozen=True)
class Refusal:
    """Why a database cannot be used.

    Attributes
    ----------
    reason
        What is wrong, without names and secrets of the configuration.
    mend
        What to do.
    passing
        Whether it may be over by itself after a while, as an outage is.
    """

    reason: str
    mend: str
    passing: bool = False


def explain(error: BaseException) -> Refusal | None:
    """Why an error of the driver came; None for one that has to do with neither way nor right.

    Parameters
    ----------
    error
        Of pymongo, or of the files of certificates that it opens.
    """
    if isinstance(error, OperationFailure):
        return _refused(error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, PyMongoError):
        return Refusal("the file of the certificate to trust holds none", _AUTHORITY)
    if isinstance(error, FileNotFoundError | PermissionError) and error.filename:
        said = error.strerror or type(error).__name__
        return Refusal(f"the certificate file {error.filename}: {said}", _AUTHORITY)
    if isinstance(error, ConnectionFailure | ConfigurationError):
        return _unreachable(str(error))
    return None


def is_for_good(error: BaseException) -> bool:
    """Whether waiting cannot help though the connection failed: the certificates are wrong."""
    return (
        isinstance(error, ConnectionFailure) and "certificate_verify_failed" in str(error).lower()
    )


def _refused(error: OperationFailure) -> Refusal | None:
    if error.code == AUTHENTICATION_FAILED:
        return Refusal("wrong user or password", _LOGIN)
    if error.code == UNAUTHORIZED:
        if "requires authentication" in str(error):
            return Refusal("it wants a login", "Pass --username to `sse init cluster`")
        known = _NOT_AUTHORIZED.search(str(error))
        what = f"{known[2]} in the database {known[1]}" if known else brief(error)
        return Refusal(f"the user has no right to {what}", _RIGHTS)
    return None


def _unreachable(text: str) -> Refusal:
    for passing, known in ((False, _CERTIFICATES), (True, _CONNECTIONS)):
        for parts, what, mend in known:
            if any(part in text.lower() for part in parts):
                return Refusal(what, mend, passing)
    return Refusal(brief_text(text), _ANSWER, passing=True)


def refused(error: BaseException, place: str) -> SSEError | None:
    """The error to raise where a login, a right or a certificate is wrong; None for all else.

    Parameters
    ----------
    error
        Any.
    place
        Of the database, for the message; without user and password.
    """
    why = explain(error)
    if why is None or why.passing:
        return None
    return SSEError(f"{place} cannot be used: {why.reason}", mend=why.mend)


def brief(error: BaseException) -> str:
    """What an error of the driver says, without its long description of the servers."""
    return brief_text(str(error)) or type(error).__name__


def brief_text(text: str) -> str:
    """As :func:`brief`, of what was said."""
    text = " ".join(text.split())
    for mark in (" (configured timeouts", ", Timeout: ", ", full error"):
        text = text.split(mark)[0]
    return without_secrets(text)[:200]
