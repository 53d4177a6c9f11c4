"""A file is written whole or not at all."""

from __future__ import annotations

import pytest

from sse_flows.files import write_whole


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    write_whole(tmp_path / "a" / "b.txt", "Å\n")
    write_whole(tmp_path / "a" / "b.txt", b"bytes")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"bytes"
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_what_cannot_be_written_leaves_the_old_file(small_disk):
    path = small_disk / "one.json"
    write_whole(path, "old")
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"x" * 100_000_000)
    assert path.read_text() == "old"
    assert [one.name for one in small_disk.iterdir()] == ["one.json"]
