"""The study of a folder of results: what other versions have left there is read, or refused with the way out."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

import liquidbench
from liquidbench import results, study_file
from liquidbench.__main__ import main
from liquidbench.facts import Facts
from liquidbench.folder import StudyFolder, TrainingFolder
from liquidbench.study import RESULTS_FORMAT, Study
from liquidbench.system import storage
from liquidbench.system.storage import KeptFileWarning

STUDY = Study.parse({"name": "s", "tasks": ["occupancy-excerpt"], "models": ["GRU"], "seeds": 2})


def left(directory: Path, text: str, *, sealed: bool = True) -> Path:
    """A study's file as some version would leave it."""
    path = StudyFolder(directory).study
    path.write_bytes(storage.sealed(f"{text}# checksum: {storage.SEAL}\n".encode()) if sealed else text.encode())
    return path


def text(study: Study = STUDY, form: int = RESULTS_FORMAT) -> str:
    return f"# results of liquidbench, format {form}\n{study.to_yaml()}"


def test_a_study_round_trips_and_an_equal_file_is_kept(tmp_path):
    study_file.write(STUDY, tmp_path, "# made by compare for it\n")
    before = StudyFolder(tmp_path).study.read_bytes()
    study_file.write(STUDY, tmp_path)
    assert study_file.read(tmp_path) == STUDY and StudyFolder(tmp_path).study.read_bytes() == before
    assert study_file.find_earlier(STUDY, tmp_path, "# made by compare for it\n") == STUDY
    assert study_file.find_earlier(STUDY, tmp_path, "# made by compare for another\n") is None


@pytest.mark.parametrize("key", ["device", "splits", "question", "smallest_difference"])
def test_a_study_from_before_a_key_has_its_default(tmp_path, key):
    lines = [line for line in text().splitlines(keepends=True) if not line.startswith(f"{key}:")]
    left(tmp_path, "".join(lines))
    assert study_file.read(tmp_path) == STUDY
    study_file.check(STUDY, tmp_path)


class TestVersions:
    """Runs of two versions are not in one study unless a user wants it."""

    def test_a_study_names_the_version_that_does_it_and_so_do_its_runs(self, tmp_path):
        study_file.write(STUDY, tmp_path)
        assert study_file.read(tmp_path).version == liquidbench.__version__
        ids = {study.runs()[0].id("d") for study in (STUDY, replace(STUDY, version="9.9"), replace(STUDY, version=""))}
        assert len(ids) == 3

    def test_a_study_without_a_version_is_an_earlier_ones_and_can_be_continued(self, tmp_path):
        left(tmp_path, text(replace(STUDY, version="")).replace("version: ''\n", ""))
        kept = study_file.read(tmp_path)
        assert kept.version == ""
        study_file.check_version(kept, tmp_path)
        with pytest.raises(ValueError, match=r"results of an earlier version of liquidbench.*To continue it: .*resume"):
            study_file.check(STUDY, tmp_path)

    def test_missing_runs_of_another_version_are_refused_and_its_report_is_not(self, tmp_path, capsys):
        study_file.write(replace(STUDY, version="0.0.1"), tmp_path)
        with pytest.raises(SystemExit) as ended:
            main(["resume", str(tmp_path)])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and "pip install liquidrnn==0.0.1" in said and "--update" in said
        assert not list(tmp_path.glob("runs/*"))
        with pytest.raises(ValueError, match=r"liquidbench 0\.0\.1, and this is"):
            study_file.check(STUDY, tmp_path)

    @pytest.mark.parametrize("named", ["9.9.9", ""])
    def test_a_study_that_names_another_version_is_not_taken_for_results_of_it(self, tmp_path, capsys, named):
        path, folder = tmp_path / "s.yaml", tmp_path / STUDY.name
        path.write_text(f"{STUDY.to_yaml().partition('version: ')[0]}version: '{named}'\n")
        study_file.write(STUDY, folder)
        before = StudyFolder(folder).study.read_bytes()
        for options in ([], ["--update"], ["--results", str(tmp_path / "new")]):
            if options and not named:
                continue
            with pytest.raises(SystemExit) as ended:
                main(["run", str(path), "--results", str(tmp_path), *options])
            said = capsys.readouterr().err
            assert ended.value.code == 2 and "holds results" not in said
            assert f"liquidbench that runs it, {liquidbench.__version__}; got '{named}'. Leave out the key" in said
            assert ("pip install liquidrnn==9.9.9" in said) == bool(named)
        assert not (tmp_path / "new").exists() and StudyFolder(folder).study.read_bytes() == before

    def test_a_version_is_text(self):
        with pytest.raises(ValueError, match=r"version must be text, such as '.*'; got 0\.1: quote it"):
            Study.parse({"name": "s", "tasks": ["occupancy"], "models": ["GRU"], "version": 0.1})


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("command", ["report", "resume", "rescore"])
def test_a_newer_format_is_refused_with_the_way_out(tmp_path, capsys, command, sealed):
    path = left(tmp_path, text(form=RESULTS_FORMAT + 1), sealed=sealed)
    before = path.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main([command, str(tmp_path)])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and path.read_bytes() == before
    assert f"newer version of liquidbench: its results are of format {RESULTS_FORMAT + 1}, and" in said
    assert "pip install --upgrade liquidrnn" in said and "--results" in said


def test_an_earlier_format_is_refused_with_the_way_out(tmp_path):
    left(tmp_path, text(form=RESULTS_FORMAT - 1))
    with pytest.raises(ValueError, match=r"reads format 2\). Use that version, or run the study again with"):
        study_file.read(tmp_path)


@pytest.mark.parametrize("line", ["ensemble: 4\n", "models:\n- NoSuchModel\n"])
def test_an_intact_study_that_cannot_be_parsed_is_of_another_version(tmp_path, line):
    key = line.partition(":")[0]
    body = text().replace("models:\n- GRU\n", "") if key == "models" else text()
    left(tmp_path, body + line)
    with pytest.raises(ValueError, match=rf"{key}.* liquidbench does not understand it: use a newer one \(pip install"):
        study_file.read(tmp_path)


def test_a_table_of_another_format_ends_a_command_in_one_sentence(tmp_path, capsys, monkeypatch):
    study_file.write(STUDY, tmp_path)
    results.write_tasks(tmp_path, {"occupancy-excerpt": Facts(digest="d", kind="classification")})
    monkeypatch.setattr(results, "RESULTS_FORMAT", RESULTS_FORMAT + 1)
    StudyFolder(tmp_path).runs.mkdir()
    path = StudyFolder(tmp_path).runs / "a.parquet"
    path.write_bytes(results.sealed(results.SCHEMA.to_frame()))
    monkeypatch.undo()
    for command in ("report", "rescore"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(tmp_path)])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"holds results of format {RESULTS_FORMAT + 1}" in said and path.exists()


@pytest.mark.parametrize("name", ["demo", "small"])
def test_reports_of_kept_results_can_be_written_again(tmp_path, name, capsys):
    kept_in = Path(__file__).parents[2] / "docs" / "results" / name
    for file in ("study.yaml", "tasks.json", "results.parquet"):
        (tmp_path / file).write_bytes((kept_in / file).read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KeptFileWarning)
        assert main(["report", str(tmp_path), "--format", "csv"]) == 0
    headline = next(line for line in (kept_in / "README.md").read_text().splitlines() if line.startswith("**"))
    assert headline.strip("*") in " ".join(capsys.readouterr().out.split())
    assert StudyFolder(tmp_path).tables.is_dir()


def test_no_two_files_of_a_folder_have_one_name():
    for folder in (StudyFolder("x"), TrainingFolder("x")):
        places = [path for name, path in vars(folder).items() if name != "root"]
        assert len(set(places)) == len(places) and {path.parent for path in places} == {Path("x")}


@pytest.mark.parametrize("name", ["../away", "a/b"])
def test_ids_from_elsewhere_stay_in_the_folder(name):
    folder = StudyFolder("x")
    assert folder.journal(name).resolve().parent == folder.searches.resolve()
    assert folder.predicted(name).resolve().parent == folder.predictions.resolve()
