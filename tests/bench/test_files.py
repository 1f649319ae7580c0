"""Raw files: found in the right place, checked by content, downloaded whole or not at all."""

import gzip
import io
import re
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from liquidbench import tasks
from liquidbench.tasks import files
from liquidbench.tasks.files import Archive

MEMBERS = {"one.csv": b"a,b\n1,2\n", "two.csv": b"a,b\n3,4\n"}


@pytest.fixture
def archive():
    unchecked = Archive(
        title="Two tables",
        folder="tables",
        url="http://127.0.0.1:9/",
        published=("tables.zip", "extra.txt"),
        copies=(("tables.tar.xz",), ("one.csv", "two.csv")),
        members=r"(one|two)\.csv",
        content=files.table_content,
        digest="",
    )
    return replace(unchecked, digest=unchecked.digest_of(MEMBERS))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data folder in the environment, an empty cache, no proxy before the loopback server."""
    monkeypatch.delenv("LIQUIDBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    """A loopback web server; ``server.content`` maps paths to bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            content = server.content.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_port}/files/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def zipped(members) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def compressed(members) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(raw) for name, raw in members.items()}


def tarred(members, mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as packed:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def put(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "contents",
    [
        {"tables.tar.xz": tarred({f"inner/{name}": raw for name, raw in MEMBERS.items()}, "w:xz")},
        {"one.csv": MEMBERS["one.csv"], "two.csv": MEMBERS["two.csv"]},
        {"tables.zip": zipped(MEMBERS), "extra.txt": b"not read"},
        {"tables.zip": zipped(compressed(MEMBERS)), "extra.txt": b""},
        {"tables.zip": zipped({"deep/inner.zip": zipped(MEMBERS), "readme": b""}), "extra.txt": b""},
        {
            "tables.zip": zipped({"one.csv": b'\xef\xbb\xbf"a","b"\r\n1,2\r\n', "two.csv": b'a,b\n"3",4'}),
            "extra.txt": b"",
        },
    ],
    ids=["tar", "single files", "zip", "gzip in a zip", "zip in a zip", "other quotes and line ends"],
)
def test_every_packing_passes_the_same_check(archive, tmp_path, contents):
    put(tmp_path / "data" / "tables", contents)
    members = files.read(archive, tmp_path / "data")
    assert members.keys() == MEMBERS.keys()
    assert archive.digest_of(members) == archive.digest


def test_a_changed_number_does_not(archive, tmp_path):
    put(tmp_path / "tables", MEMBERS | {"two.csv": b"a,b\n3,5\n"})
    with pytest.raises(ValueError, match=r"Two tables: the content of .*one\.csv.* has checksum .* expected "):
        files.read(archive, tmp_path)


def test_half_an_archive_is_called_damaged(archive, tmp_path):
    for form in (
        {"tables.tar.xz": tarred(MEMBERS, "w:xz")[:100]},
        {"tables.zip": zipped(MEMBERS)[:50], "extra.txt": b""},
    ):
        put(tmp_path / next(iter(form)) / "tables", form)
        with pytest.raises(ValueError, match="cannot be unpacked .* damaged or incomplete"):
            files.read(archive, tmp_path / next(iter(form)))


def test_a_missing_member_does_not(archive, tmp_path):
    put(tmp_path / "tables", {"tables.zip": zipped({"one.csv": MEMBERS["one.csv"]}), "extra.txt": b""})
    with pytest.raises(ValueError, match="has checksum"):
        files.read(archive, tmp_path)


def test_the_argument_goes_before_the_environment_and_the_environment_before_the_cache(archive, tmp_path, monkeypatch):
    put(files.cache_folder() / "tables", MEMBERS)
    assert files.read(archive) == MEMBERS
    monkeypatch.setenv("LIQUIDBENCH_DATA", str(tmp_path / "environment"))
    with pytest.raises(FileNotFoundError, match="LIQUIDBENCH_DATA="):
        files.read(archive)
    put(tmp_path / "environment" / "tables", MEMBERS)
    assert files.read(archive) == MEMBERS
    with pytest.raises(FileNotFoundError, match="data, --data on the command line: "):
        files.read(archive, tmp_path / "argument")


def test_a_folder_without_the_files_is_told_where_and_what(archive, tmp_path):
    looked_for = "tables.tar.xz or one.csv + two.csv or tables.zip + extra.txt"
    words = f"Two tables: {tmp_path / 'tables'} does not contain {looked_for}"
    with pytest.raises(FileNotFoundError, match=re.escape(words)) as caught:
        files.read(archive, tmp_path)
    assert "Put the files there, from http" in str(caught.value)
    assert "leave data and LIQUIDBENCH_DATA unset" in str(caught.value)


def test_an_archive_of_something_else_is_said_to_be_that(archive, tmp_path):
    put(tmp_path / "tables", {"tables.zip": zipped({"readme.md": b""}), "extra.txt": b""})
    with pytest.raises(ValueError, match=r"holds none of the files that the task reads \(names that match "):
        files.read(replace(archive, members=r"one\.csv"), tmp_path)


def test_a_home_that_nobody_has_is_no_folder(archive, monkeypatch):
    monkeypatch.setenv("LIQUIDBENCH_DATA", "~a-user-nobody-has/data")
    with pytest.raises(ValueError, match="LIQUIDBENCH_DATA=~a-user-nobody-has/data must be a folder"):
        files.read(archive)


def test_a_file_that_may_not_be_read_is_not_taken_for_damaged(archive, tmp_path, monkeypatch):
    put(tmp_path / "tables", MEMBERS)

    def locked(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", locked)
    with pytest.raises(PermissionError):
        files.read(archive, tmp_path)


def test_a_real_task_says_the_same(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Occupancy Detection: .* does not contain occupancy_data\.zip"):
        tasks.load("occupancy", data=tmp_path)


def test_single_files_may_be_compressed(archive, tmp_path):
    archive = replace(archive, copies=(("one.csv.gz", "two.csv.gz"),))
    put(tmp_path / "tables", compressed(MEMBERS))
    assert files.read(archive, tmp_path) == MEMBERS
    put(tmp_path / "tables", {"two.csv.gz": compressed(MEMBERS)["two.csv.gz"][:-9]})
    with pytest.raises(ValueError, match=r"cannot be unpacked \(two\.csv\.gz: .*damaged or incomplete"):
        files.read(archive, tmp_path)


def test_what_cannot_be_downloaded_is_said_to_be_that(archive, tmp_path, monkeypatch):
    archive = replace(archive, published=(), url="https://example.org/about")
    words = (
        r"does not contain tables\.tar\.xz or one\.csv \+ two\.csv \(searched because data and LIQUIDBENCH_DATA are "
    )
    with pytest.raises(FileNotFoundError, match=words) as caught:
        files.read(archive)
    assert "cannot be downloaded in this form; the original is described at https://example.org/about" in str(
        caught.value
    )
    monkeypatch.setenv("LIQUIDBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"\(searched because LIQUIDBENCH_DATA=.*\)\. It cannot be downloaded"):
        files.read(archive)
    put(tmp_path / "tables", {name: MEMBERS[name] for name in MEMBERS})
    assert files.read(archive) == MEMBERS


def test_download_fills_the_cache_once(archive, server):
    archive = replace(archive, url=server.url)
    server.content = {"/files/tables.zip": zipped(MEMBERS), "/files/extra.txt": b"more"}
    assert files.read(archive) == MEMBERS
    assert files.read(archive) == MEMBERS
    assert server.asked == ["/files/tables.zip", "/files/extra.txt"]
    cached = files.cache_folder() / "tables"
    assert sorted(path.name for path in cached.iterdir()) == ["extra.txt", "tables.zip"]
    assert [path.name for path in cached.parent.iterdir()] == ["tables"]


def test_a_download_with_other_content_is_refused_and_not_kept(archive, server):
    server.content = {"/files/tables.zip": zipped(MEMBERS | {"one.csv": b"?"}), "/files/extra.txt": b""}
    with pytest.raises(ValueError, match="expected"):
        files.read(replace(archive, url=server.url))
    assert not [path for path in files.cache_folder().rglob("*") if path.is_file()]


def test_a_download_that_stops_half_way_leaves_nothing(archive, server):
    server.content = {"/files/tables.zip": zipped(MEMBERS)}
    with pytest.raises(OSError, match=r"could not download .*/files/extra\.txt \(Not Found\)"):
        files.read(replace(archive, url=server.url))
    assert not [path for path in files.cache_folder().rglob("*") if path.is_file()]


def test_without_a_network_the_error_says_what_to_do(archive):
    with pytest.raises(OSError, match="Two tables: could not download http") as caught:
        files.read(archive)
    assert "put it into <folder>/tables/ and set LIQUIDBENCH_DATA=<folder> or pass data=<folder>" in str(caught.value)
    assert str(caught.value).endswith("on the command line --data <folder>")


def test_arrays_are_checked_as_the_float32_that_tasks_read():
    def stored(array):
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    array = np.random.default_rng(0).normal(size=(4, 3))
    content = files.array_content(stored(array))
    assert files.array_content(stored(array.astype(np.float32))) == content
    assert files.array_content(stored(array.astype(">f8"))) == content
    assert files.array_content(stored(array.T)) != content
    assert files.array_content(stored(array + 1e-3)) != content


def test_pickled_arrays_are_refused():
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        files.read_array(buffer.getvalue())


def slow_parse(raw):
    calls.append(raw)
    return {"lengths": np.array([len(content) for content in raw])}


calls: list = []


def test_what_is_slow_to_parse_is_parsed_once(monkeypatch):
    calls.clear()
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(files.time, "perf_counter", lambda: next(clock))
    for _ in range(2):
        assert files.parsed_once("0" * 64, slow_parse, [b"abc", b"d"])["lengths"].tolist() == [3, 1]
    assert len(calls) == 1
    files.parsed_once("1" * 64, slow_parse, [b"abcd"])
    assert len(calls) == 2
    assert all(path.suffix == ".npz" for path in (files.cache_folder() / "parsed").iterdir())


def test_what_is_quick_to_parse_leaves_no_trace():
    files.parsed_once("0" * 64, slow_parse, [b"abc"])
    assert not files.cache_folder().exists()


def test_a_cache_that_cannot_be_written_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(files.time, "perf_counter", lambda: next(clock))
    with pytest.warns(UserWarning, match="parsed data cannot be cached for the next process"):
        files.parsed_once("0" * 64, slow_parse, [b"abc"])
