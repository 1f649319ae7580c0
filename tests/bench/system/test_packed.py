"""Malicious archives and compressed files are refused at once, with a message, within limits of memory."""

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import time
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
import torch

from liquidbench import predictions, tasks
from liquidbench.system import packed
from liquidbench.system.storage import DamagedFileError
from liquidbench.tasks import files, table
from liquidbench.tasks.files import Archive
from liquidbench.training.replicas import Checkpoint

MIB = 2**20


@contextmanager
def bounded(megabytes, seconds=2.0):
    """Fail if the block needs more than so much memory, or too much time."""
    began = time.process_time()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MIB
    assert time.process_time() - began < seconds


def zeros(size, method=zipfile.ZIP_DEFLATED, name="a.csv") -> bytes:
    """A zip of this many zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as made, made.open(name, "w", force_zip64=True) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return buffer.getvalue()


def zipped(members, **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


def tarred(*entries) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            entry.linkname = "/etc/passwd"
            made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


BOMB = zeros(20 * MIB)


def claiming(size, raw=BOMB) -> bytes:
    """A zip whose directory claims this size for its member."""
    raw = bytearray(raw)
    directory = raw.rindex(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = struct.pack("<I", size)
    return bytes(raw)


def encrypted() -> bytes:
    raw = bytearray(zipped({"a.csv": b"1"}))
    raw[6] |= 1
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


def nested(depth) -> bytes:
    raw = zipped({"a.csv": b"1"})
    for _ in range(depth):
        raw = zipped({"inner.zip": raw})
    return raw


def sparse() -> bytes:
    """A tar whose member claims 8 GiB but is empty."""
    raw = bytearray(tarred(("a.csv", tarfile.REGTYPE, b"")))
    raw[124:136] = b"77777777777\0"
    raw[156:157] = b"S"
    raw[483:495] = b"77777777777\0"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


def backwards() -> bytes:
    """A tar whose second entry has a negative size, so that the next entry would be the first again."""
    raw = bytearray(tarred(("b", tarfile.REGTYPE, b""), ("c", tarfile.REGTYPE, b"")))
    raw[512 + 124 : 512 + 136] = b"\xff" * 10 + struct.pack(">h", -1024)
    raw[512 + 148 : 512 + 156] = b" " * 8
    raw[512 + 148 : 512 + 156] = b"%06o\0 " % sum(raw[512:1024])
    return bytes(raw)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("d.zip", lambda: BOMB, "unpacked, it is larger than 16 MiB"),
        ("d.npz", lambda: BOMB, "unpacked, it is larger than 16 MiB"),
        ("d.zip", lambda: zipped({f"{n}.zip": b"" for n in range(20_001)}), "it holds more than 20,000 files"),
        ("d.zip", lambda: zipped({"inner/d.zip": BOMB}), "d.zip: unpacked, it is larger than 16 MiB"),
        ("d.zip", lambda: claiming(10), "Bad CRC-32"),
        ("d.zip", encrypted, "'a.csv' in it is encrypted; unpack it with its password"),
        ("d.zip", lambda: zeros(MIB, zipfile.ZIP_BZIP2), "not compressed with deflate"),
        ("d.zip", lambda: nested(3), "inner.zip is an archive in 3 others"),
        ("d.zip", lambda: BOMB[: len(BOMB) // 2], "damaged or incomplete"),
        ("d.tar.gz", lambda: gzip.compress(bytes(20 * MIB), 1), "unpacked, it is larger than 16 MiB"),
        ("a.csv.gz", lambda: gzip.compress(bytes(20 * MIB), 1), "a.csv.gz: unpacked, it is larger than 16 MiB"),
        ("d.tar.bz2", lambda: bz2.compress(bytes(MIB)) * 20, "unpacked, it is larger than 16 MiB"),
        ("d.tar.xz", lambda: lzma.compress(bytes(20 * MIB), preset=0), "unpacked, it is larger than 16 MiB"),
        ("d.tar.xz", lambda: lzma.compress(b"1")[:-20], "it ends too early|damaged"),
        ("d.tar.gz", lambda: gzip.compress(b"1" * 99)[:-9], "damaged or incomplete"),
        ("d.tar", sparse, "unpacked, it is larger than 16 MiB"),
        ("d.tar", backwards, "d.tar: "),
        ("d.tar", lambda: b"no tar at all" * 99, "d.tar: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_too_much_or_damaged_is_refused_in_words(name, make, words, tmp_path, monkeypatch):
    raw = make()
    monkeypatch.chdir(tmp_path)
    with bounded(3 * 16, 5), pytest.raises(ValueError, match=words):
        packed.members({name: raw}, r"a\.csv", 16 * MIB)
    assert not list(tmp_path.iterdir())


def test_what_nobody_asked_for_is_not_unpacked():
    raw = zipped({"b.bin": b"1" * (5 * MIB), "a.csv": b"1,2"}, compression=zipfile.ZIP_DEFLATED)
    with bounded(2):
        assert packed.members({"d.zip": raw}, r"a\.csv") == {"a.csv": b"1,2"}


def test_names_links_and_devices_of_a_tar_lead_nowhere(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    kinds = {"x": tarfile.SYMTYPE, "y": tarfile.LNKTYPE, "z": tarfile.CHRTYPE, "w": tarfile.FIFOTYPE}
    raw = tarred(
        *((f"{name}.csv", kind, b"") for name, kind in kinds.items()),
        ("../../a.csv", tarfile.REGTYPE, b"above"),
        ("/b.csv", tarfile.REGTYPE, b"root"),
    )
    assert packed.members({"d.tar": raw}, r".*\.csv") == {"a.csv": b"above", "b.csv": b"root"}
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_harmless_comes_out_whole(compress):
    content = np.random.default_rng(0).bytes(100_000)
    assert packed.decompressed(compress(content)) == content
    # Concatenated streams, as in log files and output of parallel compressors.
    assert packed.decompressed(compress(content[:999]) + compress(content[999:])) == content
    assert packed.decompressed(compress(content), 100_000) == content
    with pytest.raises(ValueError, match="unpack it yourself"):
        packed.decompressed(compress(content), 99_999)


def test_random_damage_is_always_said_in_words():
    rng = np.random.default_rng(0)
    whole = {
        "d.zip": zipped({"a.csv": b"1,2\n" * 50, "i.tar": tarred(("a.csv", tarfile.REGTYPE, b"1" * 99))}),
        "d.tar.gz": gzip.compress(tarred(("a.csv", tarfile.REGTYPE, b"12"), ("i.zip", tarfile.REGTYPE, nested(1)))),
        "d.tar.xz": lzma.compress(tarred(("a.csv", tarfile.REGTYPE, b"12"))),
    }
    refused = 0
    for name, raw in whole.items():
        assert packed.members({name: raw}, r"a\.csv")
        for _ in range(150):
            damaged = bytearray(raw)
            for place in rng.integers(0, len(raw), 1 + rng.integers(4)):
                damaged[place] = rng.integers(256)
            damaged = bytes(damaged[: rng.integers(1, len(raw) + 1)] if rng.random() < 0.3 else damaged)
            try:
                packed.members({name: damaged}, r"a\.csv")
            except ValueError as problem:
                assert str(problem)
                refused += 1
    assert refused > 100


def test_a_data_set_that_is_a_bomb_names_the_file_and_the_way_out(tmp_path):
    archive = Archive("Set", "set", "http://127.0.0.1:9/", ("d.zip",), (), r"a\.csv", files.table_content, "0")
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "d.zip"
    for raw in (claiming(2**30), zipped({"a.csv": b'"' + b"1" * 200_000 + b'"'})):
        path.write_bytes(raw)
        with bounded(64), pytest.raises(ValueError) as caught:
            files.read(archive, tmp_path)
        assert str(path) in str(caught.value) and "Replace it with the one from http://127.0.0.1:9/" in str(
            caught.value
        )
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "d.zip"]


def test_a_file_too_large_to_be_a_data_set_is_not_read(tmp_path):
    (tmp_path / "occupancy").mkdir()
    with (tmp_path / "occupancy" / "occupancy_data.zip").open("wb") as file:
        file.truncate(2**40)
    with bounded(8), pytest.raises(ValueError, match=r"occupancy_data\.zip is larger than 256 MiB"):
        tasks.load("occupancy", tmp_path)


def test_a_table_that_is_a_bomb(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(bytes(65 * MIB), 1))
    with (
        bounded(3 * 65, 5),
        pytest.raises(ValueError, match=r"t\.csv\.gz: unpacked, .*; if you trust it, unpack it your"),
    ):
        table.load({"table": str(path), "target": "y"})


def test_an_array_that_claims_to_be_huge_or_holds_objects():
    def stored(shape, kind="<f4"):
        head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(64)

    archive = Archive("Set", "", "http://127.0.0.1:9/", ("a.npy",), (), r"a\.npy", files.array_content, "0")
    for raw in (stored((2**60,)), stored((2**30, 2**10)), stored((2,), "|O"), stored((2,))[:-60]):
        with bounded(8), pytest.raises(ValueError):
            files.read_array(raw)
        with bounded(8), pytest.raises(ValueError):
            archive.digest_of({"a.npy": raw})


def test_predictions_of_a_stranger(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "RAN"), "w")

    objects = io.BytesIO()
    np.savez(objects, validation_targets=np.array([Evil()], dtype=object))
    huge = claiming(2**31, zeros(MIB, name="validation_targets.npy"))
    (tmp_path / "predictions").mkdir()
    for raw, words in ((objects.getvalue(), "allow_pickle"), (huge, "larger than 1,024 MiB"), (BOMB[:99], "damaged")):
        predictions.path(tmp_path, "r").write_bytes(raw)
        with bounded(16), pytest.raises(ValueError, match=words) as caught:
            predictions.read(tmp_path, "r")
        assert "r.npz" in str(caught.value)
    assert not (tmp_path / "RAN").exists()


def test_a_parquet_table_of_few_bytes_and_many_cells(tmp_path):
    path = tmp_path / "t.parquet"
    pl.select(pl.repeat(True, 40_000_000, dtype=pl.Boolean).alias("y")).write_parquet(path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match=r"t\.parquet: the file claims 40,000,000 cells in .* save it as CSV"):
        table.load({"table": str(path), "target": "y"})


def test_a_checkpoint_or_network_that_would_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "RAN"), "w")

    huge = io.BytesIO()
    torch.save({"task": "occupancy-excerpt", "state": torch.zeros(2**20)}, huge)
    repacked = io.BytesIO()
    with zipfile.ZipFile(huge) as old, zipfile.ZipFile(repacked, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    evil = io.BytesIO()
    torch.save({"task": "occupancy-excerpt", "format": Evil()}, evil)
    old_fashioned = io.BytesIO()
    torch.save({"format": 1}, old_fashioned, _use_new_zipfile_serialization=False)
    for raw in (evil.getvalue(), repacked.getvalue(), old_fashioned.getvalue(), b"", BOMB[:50], pickle.dumps(Evil())):
        path = tmp_path / "checkpoint.pt"
        path.write_bytes(raw)
        with pytest.raises(DamagedFileError, match=r"checkpoint\.pt is (none of ours, or )?damaged") as refused:
            Checkpoint.read(path)
        assert "weights_only" not in str(refused.value), "torch advises to run the file"
    assert not (tmp_path / "RAN").exists()
