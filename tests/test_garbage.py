"""Python looks for garbage again after a pause, whatever happened within."""

from __future__ import annotations

import gc

import pytest

from sse_flows.garbage import collection_paused


def test_the_collector_goes_on_after_a_pause_and_an_error():
    assert gc.isenabled()
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    with pytest.raises(ValueError, match="within"), collection_paused():
        raise ValueError("within")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
