"""The errors a user can mend: one line, and whole after a trip between processes."""

from __future__ import annotations

import pickle

import pytest

from sse_flows.errors import SSEError, one_line, without_secrets


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SSEError("no forces"), "no forces"),
        (SSEError("no forces", compound="li2s"), "li2s: no forces"),
        (SSEError("no forces", mend="Run it again"), "no forces. Run it again"),
        (
            SSEError("no forces", compound="li2s", mend="Run it again"),
            "li2s: no forces. Run it again",
        ),
    ],
)
def test_its_text_names_compound_problem_and_mend(error, line):
    assert str(error) == line


class _Special(SSEError):
    pass


@pytest.mark.parametrize("kind", [SSEError, _Special])
def test_pickling_keeps_class_and_all_fields(kind):
    error = kind("no forces", compound="li2s", mend="Run it again")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.compound, again.mend) == ("no forces", "li2s", "Run it again")
    assert str(again) == str(error)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mongodb://me:secret@db:27017/sse", "mongodb://db:27017/sse"),
        ("bad mongodb+srv://me:se/cr@et@db/sse, really", "bad mongodb+srv://db/sse, really"),
        ("mongodb://me:secret@a:1,b:2/sse?w=1", "mongodb://a:1,b:2/sse?w=1"),
        ("https://token@host/x", "https://host/x"),
        ("sqlite:///home/me@work/store.sqlite/outputs", None),
        ("mail me@home.org", None),
    ],
)
def test_addresses_lose_user_and_password(text, clean):
    assert without_secrets(text) == (clean or text)
    assert one_line(ValueError(text)) == f"ValueError: {clean or text}"
