"""The results table: what may be written, what comes back, and what a kill or a stray file does to it."""

import io
import multiprocessing
import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidbench import results, study_file
from liquidbench.facts import Facts
from liquidbench.results import COMPACT, NULLABLE, SCHEMA, Writer
from liquidbench.study import RESULTS_FORMAT
from liquidbench.system import storage
from liquidbench.system.storage import KeptFileWarning


def a_row(**changes):
    row = {
        "run": "0123456789abcdef",
        "study": "try",
        "task": "occupancy",
        "model": "CfC",
        "variant": "matched",
        "seed": 0,
        "fold": 0,
        "matching": "parameters",
        "search": "full",
        "kind": "fit",
        "status": "done",
        "split": "test",
        "metric": "accuracy",
        "corruption": "",
        "level": 0.0,
        "epoch": None,
        "step": None,
        "trial": None,
        "value": 0.9,
        "reason": None,
        "parameters": 4000,
        "hidden_size": 32,
        "learning_rate": 0.01,
        "settings": None,
        "version": "0.1.0",
        "commit": "abc",
        "python": "3.11.0",
        "torch": "2.13.0",
        "backend": "cpu",
        "instruction_set": "avx2",
        "machine": "a processor",
        "threads": 1,
        # The same for equal rows, however late they are made.
        "started": "2026-02-03T04:05:06+00:00",
        "seconds": 1.5,
    }
    return row | changes


class TestRoundTrip:
    def test_rows_come_back_as_they_were(self, tmp_path):
        rows = [a_row(), a_row(split="train", metric="loss", epoch=3, trial=1, value=0.25, reason="why")]
        path = results.write(tmp_path, rows)
        assert path == tmp_path / "runs" / "0123456789abcdef.parquet"
        frame = results.read(tmp_path)
        assert frame.schema == SCHEMA
        assert frame.to_dicts() == rows

    @given(value=st.none() | st.floats(), epoch=st.none() | st.integers(0, 2**62), text=st.text())
    @settings(max_examples=40)
    def test_any_value_comes_back(self, tmp_path_factory, value, epoch, text):
        directory = tmp_path_factory.mktemp("any")
        results.write(directory, [a_row(value=value, epoch=epoch, machine=text)])
        back = results.read(directory).row(0, named=True)
        assert back["epoch"] == epoch and back["machine"] == text
        assert back["value"] == value or (value != value and back["value"] != back["value"])

    def test_numpy_numbers_are_numbers(self, tmp_path):
        results.write(tmp_path, [a_row(seed=np.int32(4), value=np.float32(0.5), level=np.float64(0.1), seconds=2)])
        back = results.read(tmp_path).row(0, named=True)
        assert (back["seed"], back["value"], back["level"], back["seconds"]) == (4, 0.5, 0.1, 2.0)

    def test_nullable_columns_may_be_left_out(self, tmp_path):
        row = {key: value for key, value in a_row().items() if key not in NULLABLE}
        results.write(tmp_path, [row])
        assert results.read(tmp_path).select(sorted(NULLABLE)).row(0) == (None,) * len(NULLABLE)

    def test_nothing_yet_is_an_empty_table(self, tmp_path):
        for directory in (tmp_path, tmp_path / "nowhere"):
            assert results.read(directory).equals(SCHEMA.to_frame())
            assert results.done(directory) == {}

    def test_runs_can_be_picked(self, tmp_path):
        for run in ("aa", "bb", "cc"):
            results.write(tmp_path, [a_row(run=run)])
        assert results.read(tmp_path)["run"].to_list() == ["aa", "bb", "cc"]
        assert results.read(tmp_path, runs={"cc", "aa", "zz"})["run"].to_list() == ["aa", "cc"]
        assert results.read(tmp_path, runs=[]).equals(SCHEMA.to_frame())

    def test_done_tells_failures_apart(self, tmp_path):
        results.write(tmp_path, [a_row(run="good")])
        results.write(tmp_path, [a_row(run="bad", status="failed", value=None, reason="diverged")])
        assert results.done(tmp_path) == {"good": "done", "bad": "failed"}


class TestWrongRows:
    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            ({"seed": "0"}, TypeError, "column 'seed' of rows[1] must be a whole number; got str '0'"),
            ({"seed": True}, TypeError, "column 'seed' of rows[1] must be a whole number; got bool True"),
            ({"seed": None}, TypeError, "column 'seed' of rows[1] must be a whole number; got NoneType None"),
            ({"epoch": 1.0}, TypeError, "column 'epoch' of rows[1] must be a whole number or None; got float 1.0"),
            ({"value": "0.9"}, TypeError, "column 'value' of rows[1] must be a number or None; got str '0.9'"),
            ({"task": 3}, TypeError, "column 'task' of rows[1] must be text; got int 3"),
            ({"accuracy": 1.0}, ValueError, "rows[1] has the column 'accuracy', which is unknown; known are run"),
            ({"split": "valid"}, ValueError, "column 'split' of rows[1] must be one of 'train', 'validation', 'test'"),
            (
                {"corruption": "hail"},
                ValueError,
                "column 'corruption' of rows[1]: a shift must be among removed_steps, ",
            ),
            ({"status": "ok"}, ValueError, "column 'status' of rows[1] must be one of 'done', 'failed'; got 'ok'"),
            ({"status": "failed"}, ValueError, "column 'reason' of rows[1] must give the reason"),
            ({"run": "other"}, ValueError, "rows must be of one run; column"),
        ],
    )
    def test_the_column_is_named_and_nothing_is_written(self, tmp_path, changes, error, words):
        with pytest.raises(error) as caught:
            results.write(tmp_path, [a_row(), a_row(**changes)])
        assert words in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("column", sorted(set(SCHEMA) - NULLABLE))
    def test_a_missing_column_is_named(self, tmp_path, column):
        row = {key: value for key, value in a_row().items() if key != column}
        with pytest.raises(ValueError, match=rf"rows\[0\] lacks the column '{column}'"):
            results.write(tmp_path, [row])

    def test_no_rows(self, tmp_path):
        with pytest.raises(ValueError, match="at least one row"):
            results.write(tmp_path, [])

    @pytest.mark.parametrize("run", ["../up", "", "a/b", "a.b"])
    def test_a_run_that_names_no_file(self, tmp_path, run):
        with pytest.raises(ValueError, match="column 'run' must hold letters"):
            results.write(tmp_path, [a_row(run=run)])


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"PAR1 no more of it"),
            lambda path: path.write_bytes(path.read_bytes()[:-20]),
            lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(60) + path.read_bytes()[160:]),
            lambda path: pl.DataFrame({"a": [1]}).write_parquet(path),
            lambda path: SCHEMA.to_frame().write_parquet(path),
            lambda path: pl.read_parquet(path).with_columns(pl.col("seed").cast(pl.Int32)).write_parquet(path),
            lambda path: pl.read_parquet(path).drop("machine").write_parquet(path),
        ],
        ids=["empty", "no-parquet", "cut", "overwritten", "foreign", "rowless", "other-type", "older"],
    )
    def test_a_damaged_file_is_named_and_the_others_are_read(self, tmp_path, damage):
        results.write(tmp_path, [a_row(run="good")])
        path = results.write(tmp_path, [a_row(run="hurt"), a_row(run="hurt", value=0.1)])
        damage(path)
        with pytest.warns(KeptFileWarning, match=r"hurt\.parquet is left out: "):
            frame = results.read(tmp_path)
        assert frame["run"].to_list() == ["good"]
        with pytest.warns(KeptFileWarning):
            assert results.done(tmp_path) == {"good": "done"}

    def test_a_warning_points_at_the_caller(self, tmp_path):
        results.write(tmp_path, [a_row()]).write_bytes(b"")
        for call in (results.read, results.done):
            with pytest.warns(KeptFileWarning) as caught:
                call(tmp_path)
            assert caught[0].filename == __file__

    def test_an_older_column_is_named(self, tmp_path):
        path = results.write(tmp_path, [a_row()])
        pl.read_parquet(path).drop("machine").with_columns(pl.lit(1).alias("gpu")).write_parquet(path)
        with pytest.warns(KeptFileWarning, match="no results of this version.*machine, gpu"):
            results.read(tmp_path)

    def test_other_files_are_nobodys_business(self, tmp_path):
        path = results.write(tmp_path, [a_row()])
        (path.parent / "notes.txt").write_text("mine")
        (path.parent / ".half.parquet.0.tmp").write_bytes(b"PAR1")
        (tmp_path / "report.html").write_text("<html>")
        assert results.read(tmp_path).height == 1
        assert list(results.done(tmp_path)) == ["0123456789abcdef"]

    @pytest.mark.parametrize("name", ["runs", "incoming"])
    def test_a_folder_that_may_not_be_listed_is_not_an_empty_one(self, tmp_path, monkeypatch, name):
        results.write(tmp_path, [a_row()])
        (tmp_path / name).mkdir(exist_ok=True)

        # Root may list everything.
        def denied(call):
            def listing(path="."):
                if os.fspath(path).endswith(name):
                    raise PermissionError(13, "Permission denied", os.fspath(path))
                return call(path)

            return listing

        monkeypatch.setattr(os, "listdir", denied(os.listdir))
        monkeypatch.setattr(os, "scandir", denied(os.scandir))
        for use in (results.read, results.done, lambda folder: Writer(folder, "a")):
            with pytest.raises(PermissionError, match=name):
                use(tmp_path)

    @pytest.mark.skipif(os.name != "posix", reason="needs links")
    def test_a_link_to_a_disk_that_is_not_mounted_is_not_an_empty_folder(self, tmp_path):
        (tmp_path / "runs").symlink_to(tmp_path / "nowhere")
        for use in (results.read, results.done, lambda folder: Writer(folder, "a")):
            with pytest.raises(FileNotFoundError, match="runs"):
                use(tmp_path)

    def test_a_repeated_run_replaces_its_damaged_file(self, tmp_path):
        results.write(tmp_path, [a_row()]).write_bytes(b"half")
        results.write(tmp_path, [a_row(value=0.7)])
        assert results.read(tmp_path)["value"].to_list() == [0.7]

    def test_a_failed_write_leaves_the_earlier_file_and_no_rubbish(self, tmp_path, monkeypatch):
        path = results.write(tmp_path, [a_row()])

        def full(*_):
            raise OSError("no space left")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            results.write(tmp_path, [a_row(value=0.1)])
        assert results.read(tmp_path)["value"].to_list() == [0.9]
        assert list(path.parent.iterdir()) == [path]


def _write_for_ever(directory, value):
    rows = [a_row(value=float(value), epoch=epoch) for epoch in range(200)]
    while True:
        results.write(directory, rows)


class TestConcurrency:
    def test_two_writers_and_a_kill_never_show_half_a_file(self, tmp_path):
        """Read all the while; warnings are errors here, so one bad read fails the test."""
        spawn = multiprocessing.get_context("spawn")
        writers = [spawn.Process(target=_write_for_ever, args=(tmp_path, value)) for value in (1, 2)]
        for writer in writers:
            writer.start()
        try:
            seen, reads = set(), 0
            end = time.monotonic() + 30
            while time.monotonic() < end and (reads < 40 or len(seen) < 2):
                frame = results.read(tmp_path)
                if len(frame):
                    reads += 1
                    assert frame.height == 200 and frame["value"].n_unique() == 1
                    seen.add(frame["value"][0])
        finally:
            for writer in writers:
                os.kill(writer.pid, signal.SIGKILL)
                writer.join()
        assert seen == {1.0, 2.0}
        assert results.read(tmp_path).height == 200
        assert list(results.done(tmp_path)) == ["0123456789abcdef"]


def packed(run, rows=3, **changes):
    return results.pack([a_row(run=run, epoch=epoch, **changes) for epoch in range(rows)])


FIRST, AGAIN, NEXT = (f"20260{month}01T000000x0123abcd" for month in (1, 2, 3))
"""Names as drivers have them."""


def files(directory):
    return sorted(path.name for path in [*directory.glob("runs/*"), *directory.glob("incoming/*")])


class TestWriter:
    def test_a_run_is_there_when_it_is_added_and_in_one_file_with_others_later(self, tmp_path):
        writer = Writer(tmp_path, "me")
        for number in range(5):
            writer.add(f"r{number}", packed(f"r{number}"))
            assert len(results.done(tmp_path)) == number + 1
        assert files(tmp_path) == [f"r{number}.me.parquet" for number in range(5)]
        before = results.read(tmp_path)
        writer.consolidate()
        assert files(tmp_path) == ["me-0001.parquet"]
        assert results.read(tmp_path).equals(before)
        writer.add("r5", packed("r5"))
        writer.consolidate()
        assert files(tmp_path) == ["me-0001.parquet"] and results.read(tmp_path)["run"].n_unique() == 6
        stamp = (tmp_path / "runs" / "me-0001.parquet").stat().st_mtime_ns
        writer.consolidate()
        assert (tmp_path / "runs" / "me-0001.parquet").stat().st_mtime_ns == stamp, "nothing new, nothing written"

    def test_a_full_file_is_left_as_it_is(self, tmp_path, monkeypatch):
        monkeypatch.setattr(results, "FULL", 10)
        writer = Writer(tmp_path, "me")
        for number in range(10):
            writer.add(f"r{number}", packed(f"r{number}"))
            if number % 2:
                writer.consolidate()
        heights = [pl.read_parquet(path).height for path in sorted(tmp_path.glob("runs/*"))]
        assert heights == [12, 12, 6] and len(results.done(tmp_path)) == 10
        # The next driver goes on with the last.
        later = Writer(tmp_path, "you")
        later.add("r10", packed("r10"))
        later.consolidate()
        assert [pl.read_parquet(path).height for path in sorted(tmp_path.glob("runs/*"))] == [12, 12, 9]

    def test_any_reader_of_parquet_reads_the_folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(results, "FULL", 10)
        writer = Writer(tmp_path, "me")
        for number in range(7):
            writer.add(f"r{number}", packed(f"r{number}", value=number / 2, reason=None if number else "why"))
        writer.consolidate()
        assert len(list(tmp_path.glob("runs/*"))) == 2
        frame = results.read(tmp_path)
        assert pl.read_parquet(tmp_path / "runs").equals(frame)
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        table = pandas.read_parquet(tmp_path / "runs")
        assert pl.from_pandas(table).select(frame.columns).cast(dict(SCHEMA)).equals(frame)

    def test_a_failure_that_was_tried_again_is_gone(self, tmp_path, monkeypatch):
        monkeypatch.setattr(results, "FULL", 6)
        first = Writer(tmp_path, FIRST)
        first.add("good", packed("good"))
        first.add("bad", packed("bad", status="failed", reason="diverged"))
        first.add("more", packed("more"))
        first.consolidate()
        again = Writer(tmp_path, AGAIN)
        assert again.known == {"good": "done", "bad": "failed", "more": "done"}
        again.add("bad", packed("bad", value=0.5))
        # Even before they are put together, what counts is the success.
        assert results.done(tmp_path)["bad"] == "done"
        again.consolidate()
        frame = pl.read_parquet(tmp_path / "runs")
        assert frame.height == 9 and set(frame["status"]) == {"done"}
        assert frame.filter(run="bad")["value"].to_list() == [0.5] * 3

    def test_a_run_that_is_written_again_is_replaced(self, tmp_path, monkeypatch):
        monkeypatch.setattr(results, "FULL", 6)
        first = Writer(tmp_path, "first")
        for run in ("a", "b", "c", "d"):
            first.add(run, packed(run))
        first.consolidate()
        again = Writer(tmp_path, "again")
        again.add("a", packed("a", rows=2, value=0.1))
        again.consolidate()
        frame = pl.read_parquet(tmp_path / "runs")
        assert frame.height == 3 * 3 + 2 and frame.filter(run="a")["value"].to_list() == [0.1] * 2
        assert frame.sort("run").equals(results.read(tmp_path).sort("run"))

    def test_files_of_drivers_at_work_are_left_alone(self, tmp_path):
        one = Writer(tmp_path, FIRST)
        one.add("a", packed("a"))
        one.consolidate()
        one.add("b", packed("b"))
        two = Writer(tmp_path, AGAIN, others=[FIRST])
        assert two.known == {"a": "done", "b": "done"}
        two.add("c", packed("c"))
        two.consolidate()
        assert files(tmp_path) == [f"{FIRST}-0001.parquet", f"{AGAIN}-0001.parquet", f"b.{FIRST}.parquet"]
        one.consolidate()
        three = Writer(tmp_path, NEXT, others=[AGAIN])
        three.consolidate()
        assert files(tmp_path) == [f"{AGAIN}-0001.parquet", f"{NEXT}-0001.parquet"]
        assert sorted(results.done(tmp_path)) == ["a", "b", "c"] and results.read(tmp_path).height == 9

    def test_a_kill_between_writing_and_removing_leaves_a_run_twice_and_the_next_driver_mends_it(
        self, tmp_path, monkeypatch
    ):
        writer = Writer(tmp_path, FIRST)
        for run in ("a", "b"):
            writer.add(run, packed(run))
        with monkeypatch.context() as killed:
            killed.setattr(Path, "unlink", lambda *_, **__: None)
            writer.consolidate()
        assert len(files(tmp_path)) == 3
        assert results.read(tmp_path).height == 6, "read as if it were there once"
        Writer(tmp_path, NEXT).consolidate()
        assert len(files(tmp_path)) == 1
        assert pl.read_parquet(tmp_path / "runs").height == 6

    def test_half_written_and_damaged_files_are_put_away(self, tmp_path):
        writer = Writer(tmp_path, "me")
        writer.add("a", packed("a"))
        writer.consolidate()
        (tmp_path / "runs" / "me-0002.parquet").write_bytes(b"PAR1 no more")
        (tmp_path / "incoming" / ".b.gone.parquet.gone.tmp").write_bytes(b"PAR1")
        (tmp_path / "incoming" / ".c.busy.parquet.busy.tmp").write_bytes(b"PAR1")
        with pytest.warns(KeptFileWarning, match="cannot be read"):
            Writer(tmp_path, "next", others=["busy"])
        assert len(list((tmp_path / "damaged").iterdir())) == 1
        assert [path.name for path in tmp_path.glob("incoming/.*")] == [".c.busy.parquet.busy.tmp"]
        assert results.done(tmp_path) == {"a": "done"} and pl.read_parquet(tmp_path / "runs").height == 3

    def test_a_full_disk_loses_nothing_that_was_there(self, tmp_path, monkeypatch):
        writer = Writer(tmp_path, "me")
        writer.add("a", packed("a"))

        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                writer.add("b", packed("b"))
            with pytest.raises(OSError, match="No space"):
                writer.consolidate()
        assert results.done(tmp_path) == {"a": "done"}
        writer.add("b", packed("b"))
        writer.consolidate()
        assert sorted(results.done(tmp_path)) == ["a", "b"] and len(files(tmp_path)) == 1


# Names that people, browsers, file managers and cloud folders give to copies.
COPIES = (
    "{stem} (copy).parquet",
    "{stem} (1).parquet",
    "{stem}~1.parquet",
    "{stem}.sync-conflict-20260301-101500-ABCDEF.parquet",
    "{stem} (Ana's conflicted copy 2026-03-01).parquet",
    "Copy of {stem}.parquet",
    "backup.parquet",
    "backup-0001.parquet",
    "." + 220 * "x" + ".parquet",
)


class TestGrowth:
    """Files of versions with other columns than this one."""

    @staticmethod
    def written(path, frame, form=str(RESULTS_FORMAT)):
        """A file as another version of liquidbench would leave it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        frame.write_parquet(content, metadata={"format of results": form, "checksum": storage.SEAL})
        path.write_bytes(storage.sealed(content.getvalue()))

    @staticmethod
    def rows(run, **changes):
        return pl.DataFrame([a_row(run=run, epoch=epoch, **changes) for epoch in range(3)], schema=SCHEMA)

    @staticmethod
    def paths(directory):
        return sorted([*directory.glob("runs/*"), *directory.glob("incoming/*")])

    @pytest.mark.parametrize("columns", [*([name] for name in sorted(NULLABLE)), sorted(NULLABLE)], ids="-".join)
    def test_columns_that_may_be_null_need_not_be_there(self, tmp_path, columns):
        whole = pl.DataFrame([a_row(run="a")], schema=SCHEMA)
        self.written(tmp_path / "runs" / "a.parquet", whole.drop(columns))
        expected = whole.with_columns(pl.lit(None, SCHEMA[name]).alias(name) for name in columns)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert results.read(tmp_path).equals(expected)
            assert results.read(tmp_path, schema=COMPACT).schema == COMPACT
            assert results.done(tmp_path) == {"a": "done"}

    def test_the_next_driver_writes_them(self, tmp_path, monkeypatch):
        """Into small files and full ones, so that other readers find the same columns in all."""
        monkeypatch.setattr(results, "FULL", 3)
        self.written(tmp_path / "runs" / f"{FIRST}-0001.parquet", self.rows("a").drop("backend", "instruction_set"))
        self.written(tmp_path / "runs" / f"{FIRST}-0002.parquet", self.rows("b"))
        stamp = (tmp_path / "runs" / f"{FIRST}-0002.parquet").stat().st_mtime_ns
        before = results.read(tmp_path).sort("run", "epoch")
        assert before["backend"].to_list() == [None] * 3 + ["cpu"] * 3
        writer = Writer(tmp_path, NEXT)
        writer.add("c", packed("c"))
        writer.consolidate()
        assert [list(pl.read_parquet_schema(path)) for path in self.paths(tmp_path)] == [list(SCHEMA)] * 3
        assert results.read(tmp_path, ["a", "b"]).sort("run", "epoch").equals(before)
        assert stamp in [path.stat().st_mtime_ns for path in self.paths(tmp_path)], "what is whole is left alone"

    def test_a_column_without_any_value_may_have_lost_its_type(self, tmp_path):
        rows = self.rows("a", settings=None)
        self.written(tmp_path / "runs" / "a.parquet", rows.with_columns(pl.lit(None).alias("settings")))
        assert results.read(tmp_path).equals(rows)

    def test_the_order_of_columns_says_nothing(self, tmp_path):
        rows = self.rows("a")
        self.written(tmp_path / "runs" / "a.parquet", rows.select(sorted(SCHEMA)))
        assert results.read(tmp_path).equals(rows)

    def test_unknown_columns_are_told_of_and_kept(self, tmp_path):
        drawn = [self.rows(run).with_columns(pl.lit(value).alias("gpus")) for run, value in (("a", 2), ("b", "two"))]
        for number, frame in enumerate((*drawn, self.rows("c"))):
            self.written(tmp_path / "runs" / f"{FIRST}-000{number}.parquet", frame)
        with pytest.warns(
            KeptFileWarning, match="have the column gpus, which this version .* does not know: they are ignored"
        ):
            assert results.read(tmp_path).columns == list(SCHEMA)
        with pytest.warns(KeptFileWarning, match="gpus"):
            Writer(tmp_path, NEXT).consolidate()
        # Several small files are joined as soon as something comes in.
        with pytest.warns(KeptFileWarning, match="gpus"):
            writer = Writer(tmp_path, NEXT)
        writer.add("d", packed("d"))
        writer.consolidate()
        (path,) = self.paths(tmp_path)
        there = pl.read_parquet(path).unique("run").sort("run")
        assert there.columns == [*SCHEMA, "gpus"] and there["gpus"].to_list() == ["2", "two", None, None]

    @pytest.mark.parametrize(
        ("name", "kind"), [("seed", pl.Int32), ("epoch", pl.Float64), ("value", pl.String), ("backend", pl.Int64)]
    )
    def test_another_type_is_said(self, tmp_path, name, kind):
        odd = self.rows("a").with_columns(pl.lit(1).cast(kind).alias(name))
        self.written(tmp_path / "runs" / "a.parquet", odd)
        words = rf"a\.parquet is left out: .*\(see {name}, which must be {SCHEMA[name]} and is {odd.schema[name]}\)"
        with pytest.warns(KeptFileWarning, match=words):
            assert results.read(tmp_path).is_empty()

    @pytest.mark.parametrize(
        ("form", "remedy"),
        [
            (str(RESULTS_FORMAT + 1), "Upgrade to the version"),
            (str(RESULTS_FORMAT - 1), "Use the version"),
            ("x", "Use"),
        ],
    )
    def test_another_format_is_refused_and_nothing_is_touched(self, tmp_path, form, remedy):
        self.written(tmp_path / "runs" / f"{FIRST}-0001.parquet", self.rows("a"))
        path = tmp_path / "incoming" / f"b.{FIRST}.parquet"
        self.written(path, self.rows("b"), form)
        before = {one: one.read_bytes() for one in self.paths(tmp_path)}
        words = f"{path.name} holds results of format {form}, .* reads format {RESULTS_FORMAT}; nothing .*{remedy}"
        for action in (results.read, results.done, lambda folder: Writer(folder, NEXT)):
            with pytest.raises(results.OtherFormatError, match=words):
                action(tmp_path)
        assert {one: one.read_bytes() for one in self.paths(tmp_path)} == before

    def test_files_say_their_format(self, tmp_path):
        path = results.write(tmp_path, [a_row()])
        assert pl.read_parquet_metadata(path)["format of results"] == str(RESULTS_FORMAT)

    @pytest.mark.parametrize("name", ["demo", "small"])
    def test_results_that_are_kept_in_the_documentation_are_found_by_their_study(self, name):
        folder = Path(__file__).parents[2] / "docs" / "results" / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KeptFileWarning)
            study = study_file.read(folder)
            assert results.done(folder).keys() == study_file.run_ids(study, study_file.facts(study, folder))


class TestCopies:
    """Whatever copies lie there, no run is read or written twice."""

    @pytest.fixture
    def folder(self, tmp_path):
        """Two runs in ``runs`` and one that has just come in."""
        writer = Writer(tmp_path, FIRST)
        for run in ("a", "b"):
            writer.add(run, packed(run))
        writer.consolidate()
        writer.add("c", packed("c"))
        return tmp_path

    @staticmethod
    def place(folder, source, into, form, **changes):
        """A copy of a file under another name, perhaps with other content."""
        (source,) = (folder / source).glob("*.parquet")
        stem = source.name.removesuffix(".parquet")
        if into == "incoming" and "{stem}" in form:
            stem = stem.partition(".")[0]
        path = folder / into / form.replace("{stem}", stem)
        frame = pl.read_parquet(source).with_columns(**{key: pl.lit(value) for key, value in changes.items()})
        path.write_bytes(results.sealed(frame) if changes else source.read_bytes())
        return path

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("form", COPIES)
    @pytest.mark.parametrize(("source", "into"), [("runs", "runs"), ("runs", "incoming"), ("incoming", "incoming")])
    def test_an_equal_copy_counts_once_with_a_word(self, folder, source, into, form):
        before = results.read(folder).sort("run", "epoch")
        path = self.place(folder, source, into, form)
        with pytest.warns(KeptFileWarning, match="is a copy: it has runs? .* they count once") as told:
            assert results.read(folder).sort("run", "epoch").equals(before)
        assert path.name in str(told[0].message)
        with pytest.warns(KeptFileWarning, match="is a copy"):
            writer = Writer(folder, NEXT)
        # As `rescore` does, which takes every run in turn.
        for run in ("a", "b", "c"):
            writer.add(run, results.pack(before.filter(run=run).to_dicts()))
        writer.consolidate()
        assert len(files(folder)) == 1 and not (folder / "damaged").exists()
        assert pl.read_parquet(folder / "runs").sort("run", "epoch").equals(before)

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("form", COPIES)
    @pytest.mark.parametrize(("source", "into"), [("runs", "runs"), ("runs", "incoming"), ("incoming", "incoming")])
    def test_a_copy_that_says_something_else_does_not_count_and_is_kept(self, folder, source, into, form):
        before = results.read(folder).sort("run", "epoch")
        path = self.place(folder, source, into, form, value=0.1)
        (original,) = (file for file in (folder / source).glob("*.parquet") if file != path)
        content = path.read_bytes()
        with pytest.warns(KeptFileWarning, match="have different rows of run") as told:
            assert results.read(folder).sort("run", "epoch").equals(before)
        assert str(path) in str(told[0].message) and f"those of {original} count" in str(told[0].message)
        with pytest.warns(KeptFileWarning, match="have different rows of run") as told:
            writer = Writer(folder, NEXT)
        assert str(path) in str(told[0].message) and f"those of {original} count" in str(told[0].message)
        writer.consolidate()
        assert len(files(folder)) == 1
        assert pl.read_parquet(folder / "runs").sort("run", "epoch").equals(before)
        assert [aside.read_bytes() for aside in (folder / "damaged").iterdir()] == [content]
        assert results.done(folder) == dict.fromkeys("abc", "done"), "and nothing more is to be said"

    @pytest.mark.parametrize("folders", [("incoming", "incoming"), ("incoming", "runs"), ("runs", "runs")])
    def test_runs_that_only_copies_have_are_kept(self, tmp_path, folders):
        for number, (folder, name) in enumerate(zip(folders, ("a.parquet", "a.sync-conflict.parquet"), strict=True)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / name).write_bytes(packed(f"r{number}"))
        writer = Writer(tmp_path, NEXT)
        writer.add("a", packed("a"))
        writer.consolidate()
        assert pl.read_parquet(tmp_path / "runs")["run"].unique().sort().to_list() == ["a", "r0", "r1"]
        assert len(files(tmp_path)) == 1

    def test_what_is_redone_takes_the_place_of_all_copies(self, folder):
        for source in ("incoming", "runs"):
            self.place(folder, source, source, COPIES[0])
        with pytest.warns(KeptFileWarning, match="is a copy"):
            writer = Writer(folder, NEXT)
        for run in ("a", "c"):
            writer.add(run, packed(run, value=0.2))
        writer.remove("b")
        writer.consolidate()
        assert dict(results.read(folder).select("run", "value").unique().rows()) == {"a": 0.2, "c": 0.2}
        assert pl.read_parquet(folder / "runs").height == 6

    def test_a_driver_that_is_killed_before_it_has_put_copies_away_loses_nothing(self, folder):
        self.place(folder, "incoming", "incoming", COPIES[0], value=0.1)
        before = pl.read_parquet(folder / "runs").height
        for name in (AGAIN, NEXT):
            with pytest.warns(KeptFileWarning, match="have different rows of run c"):
                writer = Writer(folder, name)
        writer.consolidate()
        assert pl.read_parquet(folder / "runs").height == before + 3
        assert results.read(folder).filter(run="c")["value"].to_list() == [0.9] * 3

    @pytest.mark.parametrize("again", [1, 2])
    def test_rows_twice_in_one_file_count_once(self, folder, again):
        (path,) = (folder / "runs").glob("*.parquet")
        frame = pl.read_parquet(path)
        path.write_bytes(results.sealed(pl.concat([frame, *[frame.filter(run="a")] * again])))
        with pytest.warns(KeptFileWarning, match=f"{path.name} has duplicate rows of run a: one"):
            assert results.read(folder).filter(run="a").height == 3
        with pytest.warns(KeptFileWarning, match="twice"):
            writer = Writer(folder, NEXT)
        writer.consolidate()
        assert pl.read_parquet(folder / "runs").height == 9 and not (folder / "damaged").exists()

    def test_rows_that_contradict_each_other_in_one_file_are_as_if_not_there(self, folder):
        (path,) = (folder / "runs").glob("*.parquet")
        frame = pl.read_parquet(path)
        other = frame.filter(run="a").with_columns(value=pl.lit(0.1))
        path.write_bytes(results.sealed(pl.concat([frame, other])))
        with pytest.warns(KeptFileWarning, match=f"{path.name} has run a twice, with rows that contradict .* resume"):
            assert results.read(folder)["run"].unique().sort().to_list() == ["b", "c"]
        with pytest.warns(KeptFileWarning, match="contradict"):
            writer = Writer(folder, NEXT)
        assert writer.known == {"b": "done", "c": "done"}
        writer.add("a", packed("a", value=0.3))
        writer.consolidate()
        assert pl.read_parquet(folder / "runs").height == 9
        assert results.read(folder).filter(run="a")["value"].to_list() == [0.3] * 3
        assert len(list((folder / "damaged").iterdir())) == 1


def test_rows_that_are_not_wanted_are_left_out(tmp_path):
    for seed in range(3):
        rows = [a_row(run=f"r{seed}", seed=seed, metric="loss", split="train", epoch=epoch) for epoch in range(4)]
        results.write(tmp_path, [*rows, a_row(run=f"r{seed}", seed=seed)])
    assert results.read(tmp_path, keep=results.without_curves([1])).group_by("seed").len().sort("seed")[
        "len"
    ].to_list() == [
        1,
        5,
        1,
    ]
    assert results.read(tmp_path, ["r2"], pl.col("metric") == "accuracy")["seed"].to_list() == [2]


def test_compact_rows_say_the_same_in_a_third_of_the_memory(tmp_path):
    for run in ("a", "b", "c"):
        rows = [a_row(run=run, metric="loss", split="train", epoch=epoch, value=1 / epoch) for epoch in range(1, 200)]
        results.write(tmp_path, [*rows, a_row(run=run, status="failed", reason="diverged")])
    # A run that is there twice, of which one is to be left out.
    frame = pl.read_parquet(tmp_path / "runs" / "a.parquet").with_columns(pl.lit("done").alias("status"))
    (tmp_path / "runs" / f"{AGAIN}-0001.parquet").write_bytes(results.sealed(frame))
    (tmp_path / "runs" / "a.parquet").rename(tmp_path / "runs" / f"{FIRST}-0001.parquet")
    full, compact = results.read(tmp_path), results.read(tmp_path, schema=COMPACT)
    assert full.height == compact.height == 600 and compact.schema == COMPACT
    assert compact.cast({name: SCHEMA[name] for name in COMPACT}).equals(full.select(list(COMPACT)))
    # A hundred thousand runs of ten trials have three million such rows.
    assert compact.estimated_size() <= 112 * compact.height
    assert results.read(tmp_path / "none", schema=COMPACT).equals(COMPACT.to_frame())


def test_a_wrong_choice_of_rows_is_no_damage(tmp_path):
    results.write(tmp_path, [a_row()])
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        results.read(tmp_path, keep=pl.col("spilt") == "test")


class TestTasks:
    FACTS = {"occupancy": Facts(title="Ist da wer? °C", classes=("no", "yes"), window=None, metric="accuracy")}

    def test_facts_come_back(self, tmp_path):
        assert results.write_tasks(tmp_path / "new", self.FACTS) == tmp_path / "new" / "tasks.json"
        assert results.read_tasks(tmp_path / "new") == self.FACTS

    def test_none_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="tasks.json does not exist"):
            results.read_tasks(tmp_path)

    @pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', ""])
    def test_damaged(self, tmp_path, text):
        (tmp_path / "tasks.json").write_text(text)
        with pytest.raises(ValueError, match="tasks.json is damaged: .*create it again: liquidbench resume"):
            results.read_tasks(tmp_path)

    def test_what_json_cannot_hold_is_not_written(self, tmp_path):
        with pytest.raises(ValueError, match="JSON"):
            results.write_tasks(tmp_path, {"a": Facts(timespan_unit=float("nan"))})
        assert list(tmp_path.iterdir()) == []


def test_main_scores_are_those_of_the_chosen_model_on_whole_data():
    rows = [
        a_row(),
        a_row(task="cheetah", metric="mse", value=0.2),
        a_row(metric="f1_macro"),
        a_row(corruption="noise", level=0.5),
        a_row(epoch=3),
        a_row(value=None),
        a_row(split="validation", value=0.8),
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA)
    metrics = {"occupancy": "accuracy", "cheetah": "mse"}
    assert results.main_scores(frame, metrics)["value"].to_list() == [0.9, 0.2]
    assert results.main_scores(frame, metrics, "validation")["value"].to_list() == [0.8]
    assert results.main_scores(frame, {"cheetah": "mse"})["task"].to_list() == ["cheetah"]
    assert results.main_scores(frame, {}).is_empty()


def test_trivial_scores_are_the_median_over_runs():
    rows = [a_row(run=f"{n}", metric="trivial", value=value) for n, value in enumerate([0.5, 0.5, 0.75])]
    rows.append(a_row(task="gesture", metric="trivial", value=None))
    assert results.baseline_scores(pl.DataFrame(rows, schema=SCHEMA), "trivial") == {"occupancy": 0.5}


def test_trainings_tell_how_each_ended_and_which_was_chosen():
    rows = [
        a_row(metric="epochs", trial=trial, learning_rate=rate, value=epochs, reason=ended, split="")
        for trial, rate, epochs, ended in ((0, 0.01, 3.0, "minutes"), (1, 0.001, 8.0, "all epochs"))
    ]
    rows.append(a_row(metric="best_epoch", trial=1, learning_rate=0.001, value=8.0, split=""))
    # A rate that diverged has no end to tell of.
    rows.append(a_row(metric="loss", trial=2, learning_rate=0.1, value=None, reason="nan", epoch=1))
    found = results.trainings(pl.DataFrame(rows, schema=SCHEMA)).select(
        "learning_rate", "length", "unit", "ended", "best", "improving"
    )
    assert found.rows() == [
        (0.01, 3.0, "epoch", "minutes", None, None),
        (0.001, 8.0, "epoch", "all epochs", 8.0, True),
    ]
    assert results.trainings(SCHEMA.to_frame()).is_empty()


@pytest.mark.parametrize("late", [False, True])
def test_a_training_in_steps_says_itself_whether_it_was_still_improving(late):
    rows = [
        a_row(metric="steps", trial=0, value=2000.0, reason="all steps", split=""),
        a_row(metric="steps", trial=1, value=250.0, reason="pruned", split=""),
        a_row(metric="best_step", trial=0, value=2000.0, split=""),
        a_row(metric="still_improving", trial=0, value=float(late), split=""),
    ]
    found = results.trainings(pl.DataFrame(rows, schema=SCHEMA)).select("length", "unit", "ended", "best", "improving")
    assert found.rows() == [
        (2000.0, "step", "all steps", 2000.0, late),
        (250.0, "step", "pruned", None, None),
    ]
