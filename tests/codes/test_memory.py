"""The allocator's setting: made where there is glibc, nowhere else, and harmless."""

from __future__ import annotations

import ctypes
import platform
import sys

import pytest

from sse_flows.codes.memory import keep_freed_memory


@pytest.fixture(autouse=True)
def _made_anew():
    keep_freed_memory.cache_clear()
    yield
    keep_freed_memory.cache_clear()


def test_it_says_whether_it_was_made():
    made = keep_freed_memory()
    assert isinstance(made, bool)
    if platform.libc_ver()[0] == "glibc":
        assert made
    assert keep_freed_memory() is made


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_nothing_happens(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    assert keep_freed_memory() is False


def test_a_libc_without_the_setting_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert keep_freed_memory() is False
