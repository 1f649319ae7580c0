"""A network that was kept predicts what it did in its study, and refuses what it cannot read, in words."""

import html
import json
import math
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
import torch.distributed as dist

import liquidbench
from liquidbench import kept, predictions, results, study_file, tasks
from liquidbench.__main__ import main
from liquidbench.tasks import frozen
from liquidbench.tasks.new_rows import NewRows, NewRowsWarning
from liquidbench.training import distributed
from liquidbench.training.replicas import train_rank
from liquidbench.training.trainer import sampler_of

# What they say is in the predictor's lines, too, at which most tests look.
pytestmark = pytest.mark.filterwarnings("ignore::liquidbench.tasks.new_rows.NewRowsWarning")


def engines(machines=10, rows=24, seed=0) -> pl.DataFrame:
    """Rows of machines at uneven times, with numbers that can be missing, categories, and an event."""
    draw = np.random.default_rng(seed)
    parts = []
    for machine in range(machines):
        load = draw.normal(size=rows).round(4)
        mode = draw.choice(["idle", "full", "half"], rows)
        heat = 20 + load + np.where(mode == "full", 3.0, 0.0) + draw.normal(scale=0.1, size=rows)
        parts.append(
            pl.DataFrame(
                {
                    "machine": [f"m{machine:02}"] * rows,
                    "time": np.cumsum(draw.choice([0.5, 1.0, 2.0], rows)),
                    "load [kW]": [None if draw.random() < 0.1 else value for value in load],
                    "speed": draw.integers(900, 1100, rows),
                    "mode": mode,
                    "alarm": pl.Series([1 if draw.random() < 0.1 else None for _ in range(rows)], dtype=pl.Int64),
                    "heat [°C]": heat.round(3),
                }
            )
        )
    return pl.concat(parts)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder of a comparison, and its table."""
    folder = tmp_path_factory.mktemp("compared")
    table = folder / "engines.csv"
    engines().write_csv(table)
    words = [
        "compare",
        table,
        "--target",
        "heat [°C]",
        "--group",
        "machine",
        "--time",
        "time",
        "--models",
        "GRU",
        "CfC",
    ]
    options = ["--minutes", "0.1", "--in-process", "--plain", "--results", folder / "results"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*map(str, words), *map(str, options)]) == 0
    (study,) = (folder / "results").iterdir()
    return study, table


@pytest.fixture(scope="module")
def model(compared):
    (folder,) = (compared[0] / "models" / "engines").iterdir()
    return folder


def test_predictions_are_those_of_the_study_to_the_last_digit(compared, model):
    study, table = compared
    predictor = liquidbench.load(model)
    task = tasks.load(study_file.read(study).tasks[0])
    run = json.loads((model / "model.json").read_text())["origin"]["run"]
    _, in_study = predictions.read(study, run)["test"]
    test = task.split("test")
    ours = predictor.predict(table)["predicted heat [°C]"].to_numpy()[test.rows[test.target_mask]]
    assert np.array_equal(ours, task.target_scaler.restore(in_study.astype(np.float64))[:, 0])
    assert predictor.scores["test"]["rmse"] == pytest.approx(
        results.read(study, [run]).filter(split="test", metric="rmse", corruption="")["value"][0]
    )


def test_the_best_on_validation_is_kept_and_another_on_request(compared, model, tmp_path, capsys):
    study, _ = compared
    frame = results.read(study).filter(kind="fit", split="validation", metric="rmse", corruption="")
    means = {name: frame.filter(model=name)["value"].mean() for name in ("GRU", "CfC")}
    assert model.name == min(means, key=means.get)
    other = max(means, key=means.get)
    assert main(["keep", str(study), "--model", other, "--to", str(tmp_path / "other")]) == 0
    assert other in capsys.readouterr().out
    run = json.loads((tmp_path / "other" / "model.json").read_text())["origin"]["run"]
    assert run == frame.filter(model=other).sort("value", "run")["run"][0]
    with pytest.raises(SystemExit):
        main(["keep", str(study), "--model", "LTC"])
    assert "model must be one with a finished fit, 'CfC', 'GRU'; got 'LTC'" in capsys.readouterr().err


def test_the_command_predicts_from_a_fresh_process(compared, model, tmp_path):
    _, table = compared
    new = engines(machines=2, seed=9).drop("heat [°C]")
    new.write_csv(tmp_path / "new.csv")
    out = tmp_path / "out.csv"
    command = [sys.executable, "-m", "liquidbench", "predict", model, tmp_path / "new.csv", "--out", out]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = pl.read_csv(out)
    assert found.columns == ["machine", "time", "predicted heat [°C]"] and found.height == new.height
    here = liquidbench.load(model).predict(new)
    assert np.allclose(found["predicted heat [°C]"], here["predicted heat [°C]"], rtol=1e-12)


def test_intervals_are_those_of_the_residuals_on_validation(compared, model, tmp_path, capsys):
    study, table = compared
    predictor = liquidbench.load(model)
    run = json.loads((model / "model.json").read_text())["origin"]["run"]
    targets, values = predictions.read(study, run)["validation"]
    residuals = np.sort(np.abs(targets - values)[:, 0])
    rank = int(np.ceil(0.9 * (len(residuals) + 1)))
    reach = residuals[rank - 1] * predictor.task.target_scaler.deviation[0]
    found = predictor.predict(table, interval=0.9)
    assert found.drop("lower heat [°C]", "upper heat [°C]").equals(predictor.predict(table))
    for side, sign in (("lower", -1), ("upper", 1)):
        ends = found[f"{side} heat [°C]"] - found["predicted heat [°C]"]
        np.testing.assert_allclose(ends, sign * reach, rtol=1e-6)
    known = pl.read_csv(table)["heat [°C]"]
    split = tasks.load(study_file.read(study).tasks[0]).split("validation")
    rows = split.rows[split.target_mask]
    # One target is an end of its interval: rounding must not decide whether it is inside.
    edge = 1e-6 * reach
    inside = ((found["lower heat [°C]"] - edge <= known) & (known <= found["upper heat [°C]"] + edge)).to_numpy()[rows]
    assert inside.sum() == rank, "of the targets that the scores are of"
    predictor.predict(table, interval=0.9)
    assert any("intervals: they hold 90 % of the targets if" in line for line in predictor.lines)
    out = tmp_path / "out.csv"
    assert main(["predict", str(model), str(table), "--interval", "0.9", "--out", str(out)]) == 0
    assert pl.read_csv(out).columns[-2:] == ["lower heat [°C]", "upper heat [°C]"]
    # Networks that were kept without scores, and shares that cannot be had, are refused before the table is read.
    network = kept.read(model)
    older = {name: value for name, value in network.description.items() if name != "calibration"} | {"schema": 1}
    old = liquidbench.load(kept.write(kept.Kept(older, network.weights), tmp_path / "old"))
    assert old.predict(table).equals(predictor.predict(table))
    with pytest.raises(ValueError, match="kept without, by an earlier version: write it again with `liquidbench keep`"):
        old.predict("nowhere.csv", interval=0.9)
    with pytest.raises(
        ValueError, match=rf"interval must be at most 0.\d+ .* only {len(residuals)} validation targets"
    ):
        predictor.predict("nowhere.csv", interval=0.99999)
    for share in (0, 1, 90, True, "0.9"):
        with pytest.raises(ValueError, match="interval must be a share of targets between 0 and 1"):
            predictor.predict("nowhere.csv", interval=share)
    with pytest.raises(SystemExit):
        main(["predict", str(model), str(table), "--interval", "90"])
    assert "interval must be a share of targets" in capsys.readouterr().err


@pytest.mark.usefixtures("forked")
def test_sets_of_classes_are_those_of_validation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = engines()
    rows.with_columns(warm=pl.when(pl.col("heat [°C]") > 21).then(pl.lit("yes")).otherwise(pl.lit("no"))).drop(
        "heat [°C]"
    ).write_csv("engines.csv")
    words = ["train", "engines.csv", "GRU", "--target", "warm", "--hidden-size", "4", "--steps", "20", "--threads", "1"]
    assert main(words) == 0
    predictor = liquidbench.load("trained/engines-GRU")
    found = predictor.predict("engines.csv", interval=0.8)
    about = json.loads((tmp_path / "trained" / "engines-GRU" / "model.json").read_text())
    scores = np.sort(about["calibration"]["scores"])
    least = 1 - scores[int(np.ceil(0.8 * (len(scores) + 1))) - 1]
    for label in ("yes", "no"):
        expected = found[f"probability of {label}"].to_numpy() >= least
        assert np.array_equal(found[f"set has {label}"].to_numpy(), expected)
    assert len(set(found["set has yes"])) == 2


def test_of_many_scores_a_part_is_kept():
    draw = np.random.default_rng(0)
    many = draw.normal(size=(20_000, 2)).astype(np.float32)
    found = kept.calibration(many, np.zeros_like(many))
    scores = np.array(found["scores"])
    assert found["targets"] == 20_000 and scores.shape == (kept.MOST_CALIBRATED, 2)
    np.testing.assert_allclose(np.quantile(scores, 0.9, axis=0), np.quantile(np.abs(many), 0.9, axis=0), rtol=0.05)


def test_the_report_says_which_network_to_use_and_what_its_score_is_in_the_targets_unit(compared, model):
    study, _ = compared
    page = html.unescape(re.sub("<[^>]+>", "", (study / "report.html").read_text()))
    said = page[page.index("What to do now") :]
    said = said[: said.index("The networks are in")]
    assert f"{model.name} (seed " in said and "°C)" in said
    assert f"liquidbench predict results/{study.name}/models/engines/{model.name} NEW.csv" in said
    frame = results.read(study).filter(kind="fit", split="test", metric="rmse", corruption="", model=model.name)
    deviation = tasks.load(study_file.read(study).tasks[0]).target_scaler.deviation[0]
    (told,) = re.findall(r"root mean squared error on test is [\d.]+ \(([\d.]+) °C\)", said)[-1:]
    assert float(told) == pytest.approx(frame["value"].mean() * deviation, rel=0.01)


@pytest.mark.usefixtures("forked")
def test_a_network_is_trained_on_a_table_and_predicts(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engines().write_csv("engines.csv")
    words = [
        "train",
        "engines.csv",
        "GRU",
        "--target",
        "heat [°C]",
        "--hidden-size",
        "4",
        "--steps",
        "10",
        "--threads",
        "1",
    ]
    assert main(words) == 0
    assert "group: column 'machine'" in capsys.readouterr().out
    predictor = liquidbench.load("trained/engines-GRU")
    assert predictor.predict("engines.csv")["predicted heat [°C]"].null_count() == 0
    for odd, message in (
        (["train", "engines.csv", "GRU"], "--target must name the column of engines.csv to predict"),
        (
            ["train", "occupancy", "GRU", "--task", "forecast"],
            "--task is for a table; 'occupancy' is the name of a task",
        ),
    ):
        with pytest.raises(SystemExit):
            main(odd)
        assert message in capsys.readouterr().err


def test_the_order_of_rows_and_columns_does_not_matter(compared, model):
    predictor, table = liquidbench.load(model), engines()
    mixed = table.with_row_index("at").sample(fraction=1, shuffle=True, seed=3)
    expected = predictor.predict(table)
    found = predictor.predict(mixed.select("mode", "heat [°C]", "alarm", "time", "speed", "load [kW]", "machine"))
    assert found["machine"].to_list() == mixed["machine"].to_list()
    assert np.array_equal(found["predicted heat [°C]"], expected["predicted heat [°C]"][mixed["at"]])
    pandas = pytest.importorskip("pandas")
    assert predictor.predict(pandas.DataFrame(table.to_dict(as_series=False))).equals(expected)


def test_a_stream_predicts_what_the_whole_recording_does(compared, model):
    predictor = liquidbench.load(model)
    table = engines(machines=1, seed=4)
    expected = predictor.predict(table)["predicted heat [°C]"]
    stream, before = predictor.stream(), None
    names = [feature.name for feature in predictor.task.features]
    found = []
    for row in table.iter_rows(named=True):
        values = {"alarm": row["alarm"] is not None, "speed": row["speed"], "load [kW]": row["load [kW]"]}
        values |= {f"mode = {mode}": row["mode"] == mode for mode in ("full", "half", "idle")}
        mask = [values[name] is not None for name in names]
        given = [0.0 if values[name] is None else float(values[name]) for name in names]
        found.append(stream(given, timespan=None if before is None else row["time"] - before, mask=np.array(mask))[0])
        before = row["time"]
    assert np.allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("speed"), "needs the feature column 'speed', which the table lacks"),
        (lambda t: t.rename({"speed": "Speed"}), "did you mean .Speed.\\? Rename it"),
        (lambda t: t.drop("machine"), "no column 'machine' for the group"),
        (lambda t: t.drop("time"), "no column 'time' for the time|needs the time column 'time'"),
        (
            lambda t: t.with_columns(mode=pl.when(pl.int_range(pl.len()) == 6).then(pl.lit("off")).otherwise("mode")),
            "'mode' is 'off' in row 7, which the model does not know; it was trained on 'full', 'half', 'idle'",
        ),
        (
            lambda t: t.with_columns(pl.col("speed").cast(pl.String) + " rpm"),
            "'speed' must hold numbers, as in training",
        ),
        (lambda t: t.with_columns(pl.col("time") * 1000), "seem to be in another unit"),
        (
            lambda t: t.with_columns(time=pl.datetime(2024, 1, 1) + pl.duration(milliseconds=1000 * pl.col("time"))),
            "times in 'time' must be numbers, as in training; they are dates",
        ),
        (lambda t: t.head(0), "no row"),
    ],
)
def test_a_table_that_cannot_be_read_alike_is_refused(model, change, message):
    with pytest.raises(ValueError, match=message):
        liquidbench.load(model).predict(change(engines(machines=2)))


def test_what_is_odd_but_readable_is_said(model):
    predictor = liquidbench.load(model)
    table = engines(machines=2).with_columns(colour=pl.lit("red"))
    predictor.predict(table.with_columns(speed=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("speed")))
    assert "ignored, as the model was not trained on them: 'colour'" in predictor.lines
    assert any("'speed' has no value in row 4, though it always had one" in line for line in predictor.lines)
    predictor.predict(table.with_columns(pl.col("time") * 1000), any_spans=True)
    assert not any("far outside" in line for line in predictor.lines)
    predictor.predict(table.with_columns(pl.col("speed") / 1000))
    assert any("'speed' is 0.9" in line and "far outside of training (10" in line for line in predictor.lines)


def test_warnings_are_given_once_in_python_and_printed_once_by_the_command(model, tmp_path, capsys):
    table = engines(machines=2)
    predictor = liquidbench.load(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor.predict(table)
    odd = table.with_columns(pl.col("speed") / 1000)
    with pytest.warns(NewRowsWarning) as caught:
        predictor.predict(odd)
    (warning,) = caught
    assert "'speed' is 0.9" in str(warning.message) and warning.filename == __file__
    assert predictor.lines.count(f"warning: {warning.message}") == 1
    odd.write_csv(tmp_path / "odd.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["predict", str(model), str(tmp_path / "odd.csv"), "--out", str(tmp_path / "out.csv")]) == 0
    assert capsys.readouterr().err.count("far outside of training") == 1


def test_a_feature_that_new_rows_lack_throughout_is_warned_of(model):
    predictor = liquidbench.load(model)
    predictor.predict(engines(machines=2).with_columns(pl.lit(None, dtype=pl.Float64).alias("load [kW]")))
    assert any("warning: 'load [kW]' has no value in any row, though it had some" in line for line in predictor.lines)
    predictor.predict(engines(machines=2))
    assert not any("no value in any row" in line for line in predictor.lines)


def test_cells_in_another_unit_than_the_name_of_their_column_are_refused(model, tmp_path):
    table = engines(machines=2)
    for unit, size in (("kW", 1.0), ("MW", 0.001)):
        load = (pl.col("load [kW]") * size).cast(pl.String) + f" {unit}"
        table.with_columns(load.alias("load [kW]")).write_csv(tmp_path / f"{unit}.csv")
    predictor = liquidbench.load(model)
    assert predictor.predict(tmp_path / "kW.csv").equals(predictor.predict(table))
    with pytest.raises(ValueError, match=r"'load \[kW\]' must be in kW, as in training; the table says MW"):
        predictor.predict(tmp_path / "MW.csv")


def test_damage_is_named(model, tmp_path):
    def copy(name):
        return shutil.copytree(model, tmp_path / name)

    with pytest.raises(FileNotFoundError, match="is no folder"):
        liquidbench.load(tmp_path / "nowhere")
    lacking = copy("lacking")
    (lacking / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        liquidbench.load(lacking)
    for name in ("model.json", "model.safetensors"):
        damaged = copy(f"damaged-{name}")
        content = bytearray((damaged / name).read_bytes())
        content[len(content) // 2] ^= 1
        (damaged / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is damaged.*liquidbench keep"):
            liquidbench.load(damaged)
    # Each file is intact, but they are of two networks.
    swapped = copy("swapped")
    weights = safetensors.numpy.load_file(model / "model.safetensors")
    safetensors.numpy.save_file({name: 2 * value for name, value in weights.items()}, swapped / "model.safetensors")
    with pytest.raises(ValueError, match="belongs to another"):
        liquidbench.load(swapped)
    network = kept.read(model)
    later = kept.write(kept.Kept({**network.description, "schema": 3}, network.weights), tmp_path / "later")
    with pytest.raises(ValueError, match="has schema 3, .* this version reads schemas up to 2"):
        liquidbench.load(later)
    odd = kept.write(kept.Kept({**network.description, "task": {}}, network.weights), tmp_path / "odd")
    with pytest.raises(ValueError, match="is not the folder of a network"):
        liquidbench.load(odd)


def test_a_task_without_data_has_its_scalers():
    task = tasks.load("gesture-excerpt")
    description = json.loads(json.dumps(frozen.freeze(task)))
    again = frozen.thaw(description)
    assert frozen.freeze(again) == description
    assert np.array_equal(again.input_scaler.low, task.input_scaler.low)
    assert again.classes == task.classes and again.timespan_unit == task.timespan_unit
    with pytest.raises(ValueError, match="without its data"):
        again.split("test")


@pytest.fixture(scope="module")
def alone():
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def trained(alone, tmp_path, monkeypatch, capsys):
    """Trains a network on a text in a folder of its own; returns it, to predict from others."""

    def train_here(config, model, at, task, path, minutes, save_every, tell):
        how = (path, task.main, sampler_of(task), save_every, math.inf, tell)
        return train_rank(config, model, at, *distributed._training_data(task), *how)

    # What is asked here is how tables are read, and a process takes seconds to start.
    monkeypatch.setattr(distributed, "_run_processes", train_here)
    monkeypatch.chdir(tmp_path)

    def train(text, *options):
        (tmp_path / "t.csv").write_text(text)
        words = ["train", "t.csv", "GRU", "--target", "y", "--hidden-size", "3", "--steps", "1", "--threads", "1"]
        assert main([*words, *options]) == 0, capsys.readouterr().err
        return liquidbench.load("trained/t-GRU")

    return train


def lines(header, row, rows=120):
    return "\n".join([header, *(row(number) for number in range(rows))]) + "\n"


def same(predictor, tmp_path, text) -> bool:
    """Whether a text is read as the one that the network was trained on."""
    (tmp_path / "new.csv").write_text(text)
    return predictor.predict(tmp_path / "new.csv").equals(predictor.predict(tmp_path / "t.csv"))


def test_an_event_of_one_value_is_not_any_other_value(trained, tmp_path):
    predictor = trained(lines("x,alarm,y", lambda i: f"{i % 7}.5,{'1' if i % 5 == 0 else ''},{i % 7 + i % 5}.25"))
    for absent in ("0", "2.5"):
        with pytest.raises(ValueError, match=r"'alarm' is '.*' in .* in training it was '1' or empty"):
            cells = [absent, *["1"] * 119]
            same(predictor, tmp_path, lines("x,alarm", lambda i, cells=cells: f"{i % 7}.5,{cells[i]}"))
    assert same(predictor, tmp_path, lines("alarm,x", lambda i: f"{'1' if i % 5 == 0 else ''},{i % 7}.5"))


def test_units_are_those_of_training(trained, tmp_path):
    def text(unit, of_time="s", y=",1"):
        return lines(f"time,temp,y\n{of_time},{unit},", lambda i: f"{i},{20 + i % 7}.5,{i % 7}.25")

    predictor = trained(text("°C"), "--time", "time")
    assert same(predictor, tmp_path, text("°C"))
    with pytest.raises(ValueError, match=r"'temp' must be in °C, as in training; the table says °F"):
        same(predictor, tmp_path, text("°F"))
    with pytest.raises(ValueError, match=r"'time' must be in s, as in training; the table says min"):
        same(predictor, tmp_path, text("°C", "min"))
    assert same(predictor, tmp_path, lines("time,temp", lambda i: f"{i},{20 + i % 7}.5"))
    predictor.predict(tmp_path / "new.csv")
    assert any("does not say the unit of 'temp'; in training it was °C" in line for line in predictor.lines)


def test_marks_of_missing_values_count_in_frames_too(trained, tmp_path):
    text = lines("x,y", lambda i: f"{-999 if i % 9 == 0 else i % 7},{i % 7}.25")
    predictor = trained(text, "--missing=-999")
    frame = pl.read_csv(tmp_path / "t.csv")
    assert predictor.predict(frame).equals(predictor.predict(tmp_path / "t.csv"))


def test_a_frame_of_pandas_may_hold_its_cells_in_any_type(trained, tmp_path):
    pandas = pytest.importorskip("pandas")
    predictor = trained(
        lines("time,x,on,y", lambda i: f"2024-01-01 {i // 60:02}:{i % 60:02}:00,{i % 7}.5,{i % 3 == 0},{i % 7}.25"),
        "--time",
        "time",
    )
    expected = predictor.predict(tmp_path / "t.csv")
    frame = pandas.read_csv(tmp_path / "t.csv", parse_dates=["time"])
    for stored in (
        {"time": frame["time"].astype("datetime64[s]")},
        {"time": frame["time"].astype("datetime64[ns]"), "x": frame["x"].astype("longdouble")},
        {"on": frame["on"].astype("boolean"), "x": frame["x"].astype("Float64")},
        {"on": frame["on"].astype(object)},
        {"of no use": [[1, 2]] * len(frame)},
    ):
        assert predictor.predict(frame.assign(**stored)).equals(expected), stored
    assert predictor.predict(frame.set_index("time")).equals(expected)
    with pytest.raises(ValueError, match=r"'x' has no value in row 6"):
        predictor.predict(frame.assign(x=frame["x"].astype("Float64").where(frame.index != 5)))
    mixed = [str(cell) if at % 2 else cell for at, cell in enumerate(frame["x"])]
    with pytest.raises(ValueError, match=r"'x' must hold numbers, as in training; it holds text such as '0.5'"):
        predictor.predict(frame.assign(x=mixed))
    with pytest.raises(TypeError, match=r"column 'x' has cells of type Interval, such as .*: convert it first"):
        predictor.predict(frame.assign(x=pandas.interval_range(0, len(frame))))


def test_decimal_marks_are_those_of_training_where_the_file_does_not_tell(trained, tmp_path):
    predictor = trained(lines("x;z;y", lambda i: f"{i % 7 + 1}.234,5;{i % 5},25;{i % 7},25"))

    def whole(i):
        return f"{i % 7 + 1}.234"

    (tmp_path / "new.csv").write_text(lines("x;z", lambda i: f"{whole(i)};{i % 5}"))
    plain = pl.DataFrame({"x": [1000.0 * (i % 7 + 1) + 234 for i in range(120)], "z": [i % 5 for i in range(120)]})
    assert predictor.predict(tmp_path / "new.csv").equals(predictor.predict(plain))


def now_and_then(rows=120) -> pl.DataFrame:
    """A table at uneven times, whose target is known in one row of four."""
    number = np.arange(rows)
    known = pl.Series(np.sin(number).round(3)).set(pl.Series(number % 4 != 3), None)
    return pl.DataFrame({"time_min": np.cumsum(1.0 + number % 5), "x": number % 7 + 0.5, "y": known})


def test_the_last_rows_look_as_far_ahead_as_they_are_asked_to(trained, capsys):
    table, name = now_and_then(), "predicted y, next known"
    predictor = trained(table.write_csv(), "--time", "time_min", "--task", "next-known")
    whole, short = predictor.predict(table), table.head(100)
    assert whole.columns == ["time_min", name] and whole[name].null_count() == 0
    # After row 99 the target is known in row 103.
    times = table["time_min"].to_list()
    span = times[103] - times[99]
    short.write_csv("short.csv")
    assert main(["predict", "trained/t-GRU", "short.csv", "--ahead", str(span), "--out", "out.csv"]) == 0
    assert f"time ahead: {span:g} min for 1 row whose next known 'y' is not in the table" in capsys.readouterr().err
    asked = pl.read_csv("out.csv")[name]
    np.testing.assert_allclose(asked, whole[name].head(100), rtol=1e-4)
    usual = predictor.task.input_scaler.usual_ahead
    left = predictor.predict(short)
    assert f"time ahead: the usual one of training, {usual:g} min, for 1 row whose" in " ".join(predictor.lines)
    assert left.equals(predictor.predict(short, ahead=usual)) and left[name][99] != asked[99]
    # One row after another, the time ahead is the last value; a window of 8 begins with an empty state.
    stream, span = predictor.stream(), None
    assert [one.name for one in predictor.task.features] == ["x", "y", "time ahead"] and predictor.task.window == 8
    for row in range(8):
        known = row % 4 == 3
        values = [table["x"][row], table["y"][row] if known else 0.0, times[row // 4 * 4 + 3 + 4 * known] - times[row]]
        span = times[row] - times[row - 1] if row else None
        found = stream(values, timespan=span, mask=np.array([True, known, True]))
        assert found[0] == pytest.approx(whole[name][row], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", ["forecast", "next-known"])
def test_new_rows_are_told_how_far_ahead_they_look_where_the_table_says_it(tmp_path, kind):
    table = now_and_then()
    table.write_csv(tmp_path / "t.csv")
    asked = {"horizon": 3} if kind == "forecast" else {}
    task = tasks.load({"table": str(tmp_path / "t.csv"), "target": "y", "time": "time_min", "kind": kind, **asked})
    times, number = table["time_min"].to_numpy(), np.arange(102)
    later = np.minimum(number + 3 if kind == "forecast" else (number + 1) // 4 * 4 + 3, 119)
    unknown = later >= 102
    for given in (None, 7.0):
        rows = NewRows(task, table.head(102), ahead=given)
        expected = np.where(unknown, given or task.input_scaler.usual_ahead, times[later] - times[:102])
        assert np.allclose(rows.recordings[0].time_ahead, expected)
        assert not rows.warnings and f"for {unknown.sum()} rows whose" in rows.lines[-1]
    (warning,) = NewRows(task, table, ahead=1e6).warnings
    assert warning.startswith("ahead is 1e+06 min, but training had ")
    for odd in (0, np.inf, "3", True):
        with pytest.raises(ValueError, match="ahead must be a positive number of min; got"):
            NewRows(task, table, ahead=odd)


def test_a_network_that_is_not_told_how_far_ahead_it_looks_cannot_be_asked(tmp_path):
    (tmp_path / "even.csv").write_text(lines("time_min,x,y", lambda i: f"{i},{i % 7}.5,{i % 7 + i % 5}.25"))
    of = {"table": str(tmp_path / "even.csv"), "target": "y", "time": "time_min"}
    for kind, why in (("forecast", "its rows were evenly spaced"), ("regression", "it is for a regression")):
        with pytest.raises(ValueError, match=f"ahead must be left out: .* not told how far ahead it looks, as {why}"):
            NewRows(tasks.load(of | {"kind": kind}), of["table"], ahead=3.0)


def test_a_word_that_training_knew_is_not_missing(trained, tmp_path):
    predictor = trained(lines("x,zone,y", lambda i: f"{i % 7}.5,{('NA', 'EU', 'AS')[i % 3]},{i % 7 + i % 3}.25"))
    rare = lines("x,zone", lambda i: f"{i % 7}.5,{'NA' if i % 20 == 0 else 'EU'}")
    (tmp_path / "new.csv").write_text(rare)
    frame = pl.DataFrame(
        {"x": [i % 7 + 0.5 for i in range(120)], "zone": ["NA" if i % 20 == 0 else "EU" for i in range(120)]}
    )
    assert predictor.predict(tmp_path / "new.csv").equals(predictor.predict(frame))


def test_a_clock_without_dates_goes_forward(trained, tmp_path):
    def at(i):
        return f"{37 * i // 60 % 24:02}:{37 * i % 60:02}:00"

    predictor = trained(lines("time,x,y", lambda i: f"{at(i)},{i % 7}.5,{i % 7}.25"), "--time", "time")
    backwards = lines("time,x", lambda i: f"{at(119 - i)},{i % 7}.5")
    with pytest.raises(ValueError, match="rows must be in the order of time, as 'time.*' is a clock without dates"):
        same(predictor, tmp_path, backwards)


def test_what_a_frame_or_a_command_can_get_wrong(model, compared, tmp_path, capsys):
    predictor, table = liquidbench.load(model), engines(machines=2)
    pandas = pytest.importorskip("pandas")
    double = pandas.DataFrame(table.to_dict(as_series=False)).rename(columns={"speed": "load [kW]"})
    with pytest.raises(ValueError, match=r"there are several of 'load \[kW\]'"):
        predictor.predict(double)
    with pytest.raises(TypeError, match="must be the path of a file, or a frame"):
        predictor.predict(3)
    with pytest.raises(ValueError, match="'mode' has no value in row 1 and 47 more rows|always had one"):
        predictor.predict(table.with_columns(mode=pl.lit(None, dtype=pl.String)))
        raise ValueError(" ".join(predictor.lines))
    with pytest.raises(SystemExit):
        main(["predict", str(model), str(compared[1]), "--out", str(compared[1])])
    assert "--out must not be the table itself" in capsys.readouterr().err


def daily(dates, values):
    return "\n".join(["when,y", *(f"{date},{value}" for date, value in zip(dates, values, strict=True))]) + "\n"


def written(form, days=90, start="2023-01-01"):
    return [
        day.strftime(form)
        for day in pl.date_range(
            pl.lit(start).str.to_date(), pl.lit(start).str.to_date() + pl.duration(days=days - 1), eager=True
        )
    ]


FORECAST = ("--time", "when", "--task", "forecast", "--no-group")


def test_dates_in_points_are_not_read_in_the_order_of_slashes(trained, tmp_path):
    values = [f"{20 + day % 7}.25" for day in range(90)]
    predictor = trained(daily(written("%m/%d/%Y"), values), *FORECAST)
    new = tmp_path / "new.csv"
    for form, told in (("%d.%m.%Y", False), ("%m/%d/%Y", True), ("%Y-%m-%d", False)):
        new.write_text(daily(written(form, 12, "2023-03-01"), values[:12]))
        found = predictor.predict(new)["when"].dt.to_string("%Y-%m-%d").to_list()
        assert found == written("%Y-%m-%d", 12, "2023-03-01"), form
        assert any("are read as month, day, year, as in training" in line for line in predictor.lines) == told


@pytest.mark.parametrize(("training", "new"), [("%d.%m.%Y", "%m/%d/%Y"), ("%d/%m/%Y", "%m-%d-%Y")])
def test_an_order_that_some_marks_gave_says_nothing_of_others(trained, tmp_path, training, new):
    values = [f"{20 + day % 7}.25" for day in range(90)]
    predictor = trained(daily(written(training), values), *FORECAST)
    (tmp_path / "new.csv").write_text(daily(written(new, 5, "2023-03-01"), values[:5]))
    with pytest.raises(ValueError, match="can be read as day, month, year or month, day, year; say which"):
        predictor.predict(tmp_path / "new.csv")


def test_marks_of_missing_cells_and_other_spans_are_said(trained, tmp_path):
    values = [f"{20 + day % 7}.25" for day in range(90)]
    predictor = trained(daily(written("%Y-%m-%d"), values), *FORECAST)
    predictor.predict(tmp_path / "t.csv")
    assert not any(line.startswith("warning") for line in predictor.lines)
    odd = [value if day % 20 else "-999" for day, value in enumerate(values)]
    (tmp_path / "new.csv").write_text(daily(written("%Y-%m-%d"), odd))
    predictor.predict(tmp_path / "new.csv")
    assert any("'y' is -999 in line 2 and 4 more rows, far outside of training" in line for line in predictor.lines)
    kept = [day for day in range(90) if day % 10 != 5]
    dates = written("%Y-%m-%d")
    (tmp_path / "new.csv").write_text(daily([dates[day] for day in kept], [values[day] for day in kept]))
    predictor.predict(tmp_path / "new.csv")
    assert any("9 of 80 spans between rows are not 1 d, as all are in training" in line for line in predictor.lines)


def test_another_currency_than_in_training_is_refused(trained, tmp_path):
    rows = [f"{day},${day % 9}.10,{day % 7}.5" for day in range(120)]
    predictor = trained("\n".join(["t,price,y", *rows]) + "\n")
    (tmp_path / "new.csv").write_text("\n".join(["t,price,y", *rows]).replace("$", "€") + "\n")
    with pytest.raises(ValueError, match="'price' must be in [$], as in training; the table says €"):
        predictor.predict(tmp_path / "new.csv")
