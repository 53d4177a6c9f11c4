"""The one family of errors that a user can mend."""

from __future__ import annotations

import os
import re

_USER = re.compile(r"(\bmongodb(?:\+srv)?://)\S*@|(\b[\w.+-]+://)[^\s/@]*@")


class SSEError(Exception):
    """Something a user can put right: says what, of which compound, and how to mend it.

    Parameters
    ----------
    message
        What is wrong, with the offending value.
    compound
        The id of the compound concerned, if there is one.
    mend
        What to do about it, as an instruction.
    """

    def __init__(self, message: str, *, compound: str | None = None, mend: str | None = None):
        super().__init__(message)
        self.message = message
        self.compound = compound
        self.mend = mend

    def __str__(self) -> str:
        """One line: ``compound: message (mend)``."""
        head = f"{self.compound}: " if self.compound else ""
        tail = f". {self.mend}" if self.mend else ""
        return f"{head}{self.message}{tail}"

    def __reduce__(self):  # keyword-only arguments must survive the way back from a worker process
        return _rebuild, (type(self), self.message, self.compound, self.mend)


class OutOfTimeError(SSEError):
    """A calculation stopped in good order before its batch job ended; run again, it goes on."""


def one_line(error: Exception, limit: int = 300) -> str:
    """Kind and message of a foreign error on one line of at most `limit` characters.

    Addresses lose user and password, which libraries quote.
    """
    return " ".join(without_secrets(f"{type(error).__name__}: {error}").split())[:limit]


def configuration_error(error: BaseException) -> SSEError | None:
    """What to tell if jobflow could not make its settings; None for any other error.

    Nothing of the configuration is repeated, which may hold a password.
    """
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__") in ("jobflow", "jobflow.settings"):
            file = os.environ.get("JOBFLOW_CONFIG_FILE", "~/.jobflow.yaml")
            return SSEError(
                f"{file} is no configuration of jobflow: {type(error).__name__}",
                mend="Mend its JOB_STORE",
            )
        step = step.tb_next
    return None


def without_secrets(text: str) -> str:
    """The text with no user and password in its addresses."""
    return _USER.sub(lambda match: match[1] or match[2], text)


def _rebuild(cls: type[SSEError], message: str, compound: str | None, mend: str | None) -> SSEError:
    return cls(message, compound=compound, mend=mend)
