"""Single damaged bits anywhere in any kind of kept file: detected, or without effect."""

import io
import json
import os
import random
import re
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import polars as pl
import pytest
import torch
from rehearsal import Rehearsal
from test_results import a_row
from test_search import ONE, a_run, scored

from liquidbench import predictions, results, search, study_file
from liquidbench.engine import InProcess, execute, plan
from liquidbench.facts import Facts
from liquidbench.study import Study
from liquidbench.system import storage
from liquidbench.system.storage import DamagedFileError, KeptFileWarning
from liquidbench.tasks import files
from liquidbench.training import replicas
from liquidbench.training.replicas import Checkpoint
from liquidbench.training.trainer import Progress


@dataclass
class Kind:
    """A kind of file: how to create one in a folder and read it; contents are compared as JSON."""

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


def study() -> Study:
    return Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU", "RNN"], "seeds": 2})


def made_study(folder: Path) -> Path:
    study_file.write(study(), folder)
    return folder / "study.yaml"


def made_table(folder: Path) -> Path:
    writer = results.Writer(folder, "me")
    for run in "abc":
        rows = [a_row(run=run, epoch=epoch, value=epoch / 7, reason=run * epoch) for epoch in range(9)]
        writer.add(run, results.pack(rows))
    writer.consolidate()
    return folder / "runs" / "me-0001.parquet"


def read_table(path: Path) -> Any:
    found = results.read(path.parents[1])
    if found.is_empty():
        raise DamagedFileError("nothing is left")
    return found.to_dicts()


def made_predictions(folder: Path) -> Path:
    draw = np.random.default_rng(1)
    known = {split: (draw.integers(0, 3, 12), draw.normal(size=(12, 3)).astype("f4")) for split in predictions.SPLITS}
    return predictions.write(folder, "r", known)


def checkpoint() -> Checkpoint:
    state = {"weight": torch.arange(40.0)}
    return Checkpoint(
        {"model": "GRU"}, "2", state, {"step": 3}, [torch.arange(9)], Progress(torch.arange(9), best=state)
    )


def made_checkpoint(folder: Path) -> Path:
    checkpoint().write(folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


def made_journal(folder: Path) -> Path:
    search.run_search(a_run(3), ONE, scored, folder / "s.journal")
    return folder / "s.journal"


def made_tasks(folder: Path) -> Path:
    return results.write_tasks(folder, {"a": Facts(metric="mse", digest="0" * 9), "b": Facts(target_unit="°C")})


def plain(value: Any) -> str:
    def simpler(odd: Any) -> Any:
        return odd.tolist() if isinstance(odd, torch.Tensor | np.ndarray) else vars(odd)

    return json.dumps(value, default=simpler, sort_keys=True)


KINDS = {
    "results together": Kind(made_table, read_table),
    "results of a run": Kind(lambda folder: results.write(folder, [a_row(), a_row(epoch=2)]), read_table),
    "predictions": Kind(made_predictions, lambda path: predictions.read(path.parents[1], "r")),
    "checkpoint": Kind(made_checkpoint, Checkpoint.read),
    "network": Kind(
        lambda folder: (replicas.write_file({"state": torch.arange(50.0)}, folder / "m.pt"), folder / "m.pt")[1],
        replicas.read_file,
    ),
    "facts of tasks": Kind(made_tasks, lambda path: results.read_tasks(path.parent)),
    "study": Kind(made_study, lambda path: study_file.read(path.parent).to_yaml()),
}


def flip(path: Path, content: bytes, bit: int) -> None:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.filterwarnings("ignore::liquidbench.system.storage.KeptFileWarning")
def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path, kind, seed):
    path = kind.make(tmp_path)
    content, expected = path.read_bytes(), plain(kind.read(path))
    draw = random.Random(seed)
    # Every one of the last bytes, where formats and seal have their marks.
    for bit in [
        *draw.sample(range(8 * len(content)), 40),
        *draw.sample(range(8 * (len(content) - 99), 8 * len(content)), 9),
    ]:
        flip(path, content, bit)
        with pytest.raises(ValueError, match="is damaged|nothing is left"):
            assert plain(kind.read(path)) == expected, f"bit {bit} changed what is read, and nobody said so"
            raise AssertionError(f"bit {bit} went unnoticed")
    path.write_bytes(content)
    assert plain(kind.read(path)) == expected


@pytest.mark.parametrize("kind", ["predictions", "facts of tasks", "study"])
def test_every_single_bit_counts(tmp_path, kind):
    content = KINDS[kind].make(tmp_path).read_bytes()
    assert storage.intact(content, "it")
    changed = bytearray(content)
    for place in range(len(content)):
        for bit in range(8):
            changed[place] ^= 1 << bit
            with pytest.raises(DamagedFileError, match="it is damaged: its content does not match its checksum"):
                storage.intact(bytes(changed), "it")
            changed[place] ^= 1 << bit


@pytest.mark.parametrize("cut", [1, 30, 60, 70, 90, 200])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_cut_file_is_noticed(tmp_path, kind, cut):
    path = kind.make(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises((DamagedFileError, KeptFileWarning, ValueError)):
        kind.read(path)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_journal_is_gone_on_with(tmp_path, seed):
    path = made_journal(tmp_path)
    expected, content = search.read_trials(path, ONE), path.read_bytes()
    draw = random.Random(seed)
    bit = draw.randrange(8 * len(content)) if seed else 8 * len(content) - 1
    flip(path, content, bit)
    tried = []

    def trying(number, settings, halt):
        tried.append(number)
        return scored(number, settings, halt)

    with pytest.warns(KeptFileWarning, match=r"s\.journal is damaged.*it is now .*after . trials? before the damage"):
        assert search.run_search(a_run(3), ONE, trying, path) == expected
    # Trials before the damage are not repeated; those after it are, once.
    before = content[: bit // 8].count(b'"op_code":4') - (b'"op_code":4' in content[: bit // 8].rpartition(b"\n")[2])
    assert tried == list(range(before, 3))
    assert search.run_search(a_run(3), ONE, trying, path) == expected and len(tried) == 3 - before
    (aside,) = (tmp_path / "damaged").iterdir()
    assert aside.name == "s.journal" and len(aside.read_bytes()) == len(content)
    (summary,) = optuna.get_all_study_summaries(
        optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    )
    assert summary.n_trials == 3


def test_predictions_that_changed_places_are_not_read_as_those_of_another_run(tmp_path):
    mine = made_predictions(tmp_path)
    theirs = predictions.write(tmp_path, "q", predictions.read(tmp_path, "r"))
    theirs.replace(mine)
    with pytest.raises(DamagedFileError, match=r"r\.npz is damaged: its content belongs to q"):
        predictions.read(tmp_path, "r")


def test_a_journal_that_changed_places_is_not_gone_on_with(tmp_path):
    path = made_journal(tmp_path)
    expected = search.read_trials(path, ONE)
    search.run_search(a_run(3), ONE, lambda *_: (-1.0, {}), tmp_path / "other.journal")
    (tmp_path / "other.journal").replace(path)
    with pytest.warns(KeptFileWarning, match="instead of line 1 it has line 1 of search other; .* after 0 trial"):
        assert search.run_search(a_run(3), ONE, scored, path) == expected


@pytest.mark.parametrize(
    ("order", "trials"),
    [((0, 1, 2, 2, 3), 2), ((0, 1, 3), 1), ((0, 1, 2, 3, 0, 1, 2, 3), 3), ((0, 2, 1, 3), 0), ((3, 2, 1, 0), 0)],
    ids=["a line twice", "a line less", "all lines twice", "two changed", "backwards"],
)
def test_lines_of_a_journal_that_are_whole_but_not_in_their_places(tmp_path, order, trials):
    path = made_journal(tmp_path)
    # Before opening it again, which adds a line.
    lines = path.read_bytes().splitlines(keepends=True)
    expected = search.read_trials(path, ONE)
    # One line for the search, and one per trial.
    assert len(lines) == 4
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.warns(KeptFileWarning, match=f"instead of line . it has line . of search s; .* after {trials} trial"):
        assert search.run_search(a_run(3), ONE, scored, path) == expected
    assert search.read_trials(path, ONE) == expected


class TestEarlierVersions:
    """Files without a checksum are read with a warning, and get one when they are rewritten."""

    def test_results(self, tmp_path):
        path = results.write(tmp_path, [a_row()])
        pl.read_parquet(path).write_parquet(path)
        with pytest.warns(
            KeptFileWarning,
            match="runs has files of an earlier version or written by another program, which carry no checksum",
        ):
            before = results.read(tmp_path)
        with pytest.warns(KeptFileWarning, match="no checksum"):
            results.Writer(tmp_path, "me").consolidate()
        assert results.read(tmp_path).equals(before)

    def test_results_in_a_full_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(results, "FULL", 1)
        self.test_results(tmp_path)

    def test_predictions(self, tmp_path):
        path = made_predictions(tmp_path)
        expected = plain(predictions.read(tmp_path, "r"))
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b""
        with pytest.warns(KeptFileWarning, match="predictions has files of an earlier version"):
            assert plain(predictions.read(tmp_path, "r")) == expected

    def test_a_checkpoint_whose_parts_are_all_that_can_be_checked(self, tmp_path):
        path = made_checkpoint(tmp_path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b""
        with pytest.warns(KeptFileWarning, match="earlier version"):
            assert plain(Checkpoint.read(path)) == plain(checkpoint())
        content = path.read_bytes()
        flip(path, content, 8 * (content.rindex(torch.arange(40.0).numpy().tobytes()) + 50))
        with pytest.raises(DamagedFileError, match="does not match its checksum|Bad CRC"):
            Checkpoint.read(path)

    def test_a_journal_gets_checksums(self, tmp_path):
        path = made_journal(tmp_path)
        expected = search.read_trials(path, ONE)
        logs = [json.loads(line) for line in path.read_bytes().splitlines()]
        for log in logs:
            del log["checksum"], log["search"], log["line"]
        path.write_text("".join(f"{json.dumps(log)}\n" for log in logs))
        with pytest.warns(KeptFileWarning, match="earlier version"):
            assert search.read_trials(path, ONE) == expected
        assert search.read_trials(path, ONE) == expected and not (tmp_path / "damaged").exists()

    def test_a_journal_that_optuna_cannot_make_sense_of(self, tmp_path):
        path = tmp_path / "s.journal"
        path.write_text('{"op_kode": 0}\n')
        with pytest.warns(KeptFileWarning, match="is damaged .KeyError.*after 0 trial"):
            assert search.read_trials(path, ONE) == []


@pytest.mark.parametrize("seed", range(3))
def test_damaged_results_are_set_aside_and_a_resume_makes_them_again_once(tmp_path, seed):
    made = plan(study(), tmp_path)
    worker = Rehearsal("s", made.tasks)
    execute(made, InProcess(), worker=worker)
    columns = ["run", "split", "metric", "epoch", "value"]
    before = results.read(tmp_path).select(columns).sort(columns)
    (path,) = (tmp_path / "runs").iterdir()
    content = path.read_bytes()
    flip(path, content, random.Random(seed).randrange(8 * len(content)))
    with pytest.warns(KeptFileWarning, match="is left out: its content does not match its checksum"):
        made = plan(study(), tmp_path)
    assert len(made.pending) == 6
    # Under the name that the user knows, although the driver that claimed the file has renamed it.
    aside = tmp_path / "damaged" / path.name
    with pytest.warns(
        KeptFileWarning, match=re.escape(f"{path} is left out") + f".*it was moved to {re.escape(str(aside))}"
    ):
        outcome = execute(made, InProcess(), worker=worker)
    assert len(outcome.finished) == 6
    assert list((tmp_path / "damaged").iterdir()) == [aside]
    assert results.read(tmp_path).select(columns).sort(columns).equals(before)
    assert not plan(study(), tmp_path).pending


def test_what_is_damaged_while_a_driver_is_at_work_is_not_given_a_new_checksum(tmp_path):
    path = made_table(tmp_path)
    writer = results.Writer(tmp_path, "next")
    (path,) = (tmp_path / "runs").iterdir()
    flip(path, path.read_bytes(), 5_000)
    writer.add("d", results.pack([a_row(run="d")]))
    with pytest.warns(KeptFileWarning, match="liquidbench resume .* does its runs again"):
        writer.consolidate()
    assert results.done(tmp_path) == {"d": "done"}
    assert len(list((tmp_path / "damaged").iterdir())) == 1


def test_damaged_facts_of_tasks_are_found_out_again(tmp_path):
    made = plan(study(), tmp_path)
    path = tmp_path / "tasks.json"
    flip(path, path.read_bytes(), 999)
    with pytest.warns(KeptFileWarning, match=r"tasks\.json is damaged.*created again"):
        again = plan(study(), tmp_path)
    assert again.tasks == made.tasks and again.ids == made.ids
    assert plan(study(), tmp_path).tasks == made.tasks


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(files.time, "perf_counter", lambda: next(clock))

    def lengths(raw):
        return {"lengths": np.array([len(content) for content in raw])}

    files.parsed_once("0" * 64, lengths, [b"abc", b"d"])
    (path,) = (tmp_path / "liquidbench" / "parsed").glob("*.npz")
    content = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 30):
        flip(path, content, bit)
        with pytest.warns(KeptFileWarning, match="damaged.*it is created again"):
            assert files.parsed_once("0" * 64, lengths, [b"abc", b"d"])["lengths"].tolist() == [3, 1]
        assert path.read_bytes() == content or storage.intact(path.read_bytes(), path)


def odd_things(folder: Path) -> dict[str, Callable[[Path], Any]]:
    return {
        "a link to nothing": lambda path: path.symlink_to(folder / "nowhere"),
        "a link to itself": lambda path: path.symlink_to(path),
        "a pipe": os.mkfifo,
        "a folder": Path.mkdir,
        "a socket": lambda path: os.mknod(path, 0o140600),
    }


def in_time(act: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The result of a function, unless it hangs."""
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(act()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert told, "it hangs, or has failed"
    return told[0]


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
@pytest.mark.parametrize("odd", odd_things(Path()))
@pytest.mark.parametrize("folder", ["runs", "incoming"])
@pytest.mark.filterwarnings("ignore::liquidbench.system.storage.KeptFileWarning")
def test_odd_files_among_results_are_set_aside(tmp_path, odd, folder):
    results.write(tmp_path, [a_row(run="good")])
    (tmp_path / "incoming").mkdir(exist_ok=True)
    path = tmp_path / folder / "odd.parquet"
    odd_things(tmp_path)[odd](path)
    assert in_time(lambda: results.done(tmp_path)) == {"good": "done"}
    writer = in_time(lambda: results.Writer(tmp_path, "me"))
    assert writer.known == {"good": "done"} and not os.path.lexists(path)
    assert [aside.name for aside in (tmp_path / "damaged").iterdir()] == ["odd.parquet"]
    assert pl.read_parquet(tmp_path / "runs").height == 1


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and links")
@pytest.mark.parametrize("odd", odd_things(Path()))
def test_odd_files_elsewhere_are_named(tmp_path, odd):
    path = tmp_path / "odd"
    odd_things(tmp_path)[odd](path)
    with pytest.raises(DamagedFileError, match="odd is damaged: it is (not a regular file|a link to a file that)"):
        storage.content_of(path)


def test_a_file_that_is_not_there_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.content_of(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"content")
    assert storage.content_of(tmp_path / "link") == b"content"


def test_what_is_set_aside_takes_the_place_of_nothing(tmp_path):
    for number in range(3):
        (tmp_path / "a").write_text(f"{number}")
        storage.set_aside(tmp_path / "a")
    assert sorted((path.name, path.read_text()) for path in (tmp_path / "damaged").iterdir()) == [
        ("a", "0"),
        ("a.2", "1"),
        ("a.3", "2"),
    ]


def test_seals_do_not_keep_others_from_reading(tmp_path):
    frame = pl.DataFrame({"a": [1, 2]})
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(io.BytesIO(results.sealed(frame))).to_pydict() == {"a": [1, 2]}
    archive = io.BytesIO()
    np.savez(archive, a=np.arange(3))
    assert np.load(io.BytesIO(storage.sealed_zip(archive)))["a"].tolist() == [0, 1, 2]
    replicas.write_file({"a": torch.arange(3)}, tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["a"].tolist() == [0, 1, 2]
    assert json.loads(storage.sealed_json({"a": 1}))["a"] == 1
    assert storage.from_json(storage.sealed_json({"a": 1})) == {"a": 1}
    with pytest.raises(ValueError, match="must contain SEAL"):
        storage.sealed(b"no place for it")


def test_a_mark_of_a_seal_in_the_data_does_no_harm(tmp_path):
    for text in (storage.SEAL, "<liquidbench-seal ", " liquidbench-seal>"):
        results.write(tmp_path, [a_row(run="a", machine=text, status="failed", reason=text)])
        assert results.read(tmp_path)["reason"].to_list() == [text]
        results.write_tasks(tmp_path, {text: Facts(title=text)})
        assert results.read_tasks(tmp_path) == {text: Facts(title=text)}
