"""Archives: what comes out is what went in, and nothing is taken of a file that is not whole."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import tarfile
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sse_flows.errors import SSEError
from sse_flows.store import archive as module
from sse_flows.store.archive import Archive, ArchiveWriter, read_record

RECORDS = [
    ("document", {"uuid": "a", "when": datetime(2026, 7, 1, 12, 30, 15, 250000), "x": [1, 2.5]}),
    ("array:data", {"data": [[float("nan"), float("inf")], [2**40, None]], "b": b"\x00\xff"}),
    ("document", {"uuid": "Å ", "empty": {}, "text": "two\nlines"}),
]


def write(path, records=RECORDS, **about):
    with ArchiveWriter(path) as archive:
        archive.add_text("campaign/c.yaml", "name: x\n")
        for kind, record in records:
            archive.add_record(kind, record)
        archive.finish({"kind": "test", **about})
    return path


def read(path) -> list:
    return [(kind, read_record(line)) for kind, line in Archive(path).records()]


@pytest.fixture(params=["a.tar", "a.tar.gz", "a.tgz"])
def path(request, tmp_path):
    return write(tmp_path / request.param)


def test_files_and_records_come_back_in_order(path):
    archive = Archive(path)
    assert archive.about["kind"] == "test"
    assert [(name, stream.read()) for name, stream in archive.files("campaign")] == [
        ("c.yaml", b"name: x\n")
    ]
    assert repr(read(path)) == repr(RECORDS)  # not a number differs from itself
    assert list(path.parent.iterdir()) == [path]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text().filter(lambda t: "$" not in t), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON), max_size=3))
def test_any_record_comes_back(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("archive") / "a.tar"
    write(path, [("document", record) for record in records])
    assert repr([record for _, record in read(path)]) == repr(records)


def test_many_records_are_divided_into_members(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 1000)
    records = [("document", {"n": n, "text": "x" * 300}) for n in range(20)]
    path = write(tmp_path / "a.tar", records)
    assert [m["name"] for m in Archive(path).about["members"]][1:3] == [
        "records/00001.jsonl",
        "records/00002.jsonl",
    ]
    assert read(path) == records


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_file_cut_short_is_refused(tmp_path, name, part):
    noise = random.Random(0).randbytes(200_000).hex()  # beside which tar's padding is small
    path = write(tmp_path / name, [("document", {"text": noise})])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(SSEError, match=r"cut short|cannot be read|damaged"):
        Archive(path)


def test_a_damaged_member_is_named(tmp_path):
    path = write(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes().replace(b"two\\nlines", b"two\\nl1nes"))
    with pytest.raises(SSEError, match=r"holds a damaged records/00001\.jsonl"):
        Archive(path)


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 0.9999), st.integers(1, 255))
def test_a_changed_byte_of_content_is_never_taken(tmp_path_factory, where, change):
    path = write(tmp_path_factory.mktemp("archive") / "a.tar")
    expected = repr(read(path))
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= change
    path.write_bytes(content)
    try:
        found = repr(read(path))
    except SSEError:
        return
    assert found == expected  # it lay in the padding or in what tar says beside the content


def tar_of(path, *members: tarfile.TarInfo | tuple[str, bytes]):
    listed = []
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            digest = module.hashlib.sha256(content).hexdigest()
            listed.append({"name": name, "size": len(content), "sha256": digest})
        about = {"format": 1, "members": listed}
        text = json.dumps({**about, "sha256": module._checksum(about)}).encode()
        info = tarfile.TarInfo(module.MANIFEST)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return path


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "./x", "a//x", "a\\..\\x", "..", "a/.."]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    path = tar_of(tmp_path / "a.tar", (name, b"x"))
    with pytest.raises(SSEError, match="whose name leads elsewhere"):
        Archive(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_the_like_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("campaign/x")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(SSEError, match="that is no plain file"):
        Archive(tar_of(tmp_path / "a.tar", info))


def test_a_small_file_that_would_unfold_to_a_huge_one_is_refused(tmp_path):
    info = tarfile.TarInfo("campaign/x")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "campaign/x",
        "GNU.sparse.realsize": str(10**12),
    }
    content = b"1\n0\n0\n".ljust(512, b"\0")
    info.size = len(content)
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(SSEError, match="that is no plain file"):
        Archive(tmp_path / "a.tar")


def with_manifest(path, text: str):
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(module.MANIFEST)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return path


def test_other_versions_are_told_from_damage(tmp_path):
    newer = with_manifest(tmp_path / "a.tar", '{"format": 2, "parts": {"other": "than ours"}}')
    with pytest.raises(SSEError, match=r"of format 2, this version reads 1.*Update sse-flows"):
        Archive(newer)
    older = with_manifest(tmp_path / "b.tar", '{"format": 0}')
    with pytest.raises(SSEError, match=r"of format 0.*Export it anew"):
        Archive(older)
    for text in ("[1]", '"x"', '{"format": 1, "members": []}', "{" * 10_000, "null"):
        with pytest.raises(SSEError, match="a manifest that cannot be read"):
            Archive(with_manifest(tmp_path / "c.tar", text))


@pytest.mark.parametrize(
    "line", [b"document\n", b"document {\n", b"document [1]\n", b"\xff {\xff}\n", b" \n"]
)
def test_what_is_no_record_is_one_line(tmp_path, line):
    path = tar_of(tmp_path / "a.tar", ("records/00001.jsonl", line))
    ((_, found),) = Archive(path).records()
    with pytest.raises(SSEError, match="a record that cannot be read"):
        read_record(found)


def test_a_record_makes_no_objects_of_python(tmp_path):
    reduce = {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["touch x"]}]}
    record = {"@module": "os", "@class": "system", "a": {"$code": "os.abort()"}, **reduce}
    (tmp_path / "a").mkdir()
    path = write(tmp_path / "a" / "a.tar", [("document", record)])
    ((_, found),) = read(path)
    assert found == {**record, "a": found["a"]}
    assert type(found["a"]).__module__ == "bson.code"  # a text that says it is one


def test_members_twice_or_in_no_manifest_are_refused(tmp_path):
    with pytest.raises(SSEError, match="twice"):
        Archive(tar_of(tmp_path / "a.tar", ("x", b"1"), ("x", b"1")))
    path = tar_of(tmp_path / "b.tar", ("x", b"1"))
    with tarfile.open(path, "a") as tar:
        tar.addfile(tarfile.TarInfo("y"))
    with pytest.raises(SSEError, match="behind its manifest"):
        Archive(path)


def test_what_is_no_archive_is_one_line(tmp_path):
    (tmp_path / "a.tar").write_text("my notes")
    with pytest.raises(SSEError, match="cannot be read"):
        Archive(tmp_path / "a.tar")
    with pytest.raises(SSEError, match="no file"):
        Archive(tmp_path / "b.tar")
    with pytest.raises(SSEError, match=r"\.tar or \.tar\.gz"):
        ArchiveWriter(tmp_path / "a.zip")


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path):
    path = write(tmp_path / "a.tar")
    with pytest.raises(TypeError), ArchiveWriter(path) as archive:
        archive.add_record("document", {"n": object()})
    assert len(read(path)) == 3
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import sys, time
from sse_flows.store.archive import ArchiveWriter
with ArchiveWriter(sys.argv[1]) as archive:
    archive.add_text("campaign/c.yaml", "name: x")
    archive.add_record("document", {"text": "x" * 1000})
    print("begun", flush=True)
    time.sleep(60)
"""


def test_a_kill_leaves_nothing_under_the_final_name(tmp_path):
    path = tmp_path / "a.tar"
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1  # hidden, and perhaps large
    with ArchiveWriter(path) as first:
        assert len(list(tmp_path.iterdir())) == 1
        with ArchiveWriter(tmp_path / "b.tar"):  # another archive: not its business
            assert len(list(tmp_path.iterdir())) == 2
        first.finish({})
    assert list(tmp_path.iterdir()) == [path]


def test_the_draft_of_a_living_writer_is_left(tmp_path):
    path = tmp_path / "a.tar"
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        write(path)
        drafts = [one.name for one in tmp_path.iterdir() if one != path]
        process.kill()
    assert drafts == [f".a.tar.{process.pid}.part"]


def test_a_full_disk_is_one_line(small_disk):
    records = [("document", {"n": n, "text": "x" * 50_000}) for n in range(40)]
    with pytest.raises(SSEError, match=r"cannot write .*No space left"):
        write(small_disk / "a.tar", records)
    assert list(small_disk.iterdir()) == []
