"""Kept networks explained: the command, its file, and what the report draws."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from liquidbench import explaining, explanations, kept, study_file
from liquidbench.__main__ import main
from liquidbench.folder import ModelFolder, StudyFolder
from liquidbench.report.explained import explained
from liquidbench.system.storage import DamagedFileError

TASK = "occupancy-excerpt"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder of a study with a kept network of each model, not explained yet."""
    folder = tmp_path_factory.mktemp("explained")
    asked = {"name": "tiny", "question": "Does it run?", "tasks": [TASK], "models": ["LTC", "RNN"], "parameters": 1000}
    asked |= {"seeds": 1, "search": {"trials": 1}, "training": {"steps": 3}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(asked))
    assert main(["run", str(folder / "tiny.yaml"), "--results", str(folder / "results"), "--in-process"]) == 0
    for model in ("LTC", "RNN"):
        assert main(["keep", str(folder / "results" / "tiny"), "--model", model]) == 0
    return folder / "results" / "tiny"


@pytest.fixture(scope="module")
def task(study):
    kept_study = study_file.read(study)
    return study_file.load_task(kept_study, study_file.facts(kept_study, study), TASK)


@pytest.fixture(scope="module")
def network(study):
    return kept.read(StudyFolder(study).kept(TASK, "LTC"))


@pytest.fixture(scope="module")
def found(network, task):
    return explaining.explain(network, task)


@pytest.mark.slow
def test_the_report_shows_what_was_explained_and_else_is_unchanged(study, capsys):
    report = study / "report.html"
    assert main(["report", str(study)]) == 0
    before = report.read_text(encoding="utf-8")
    assert "What LTC does" not in before
    assert main(["explain", str(study)]) == 0
    told = capsys.readouterr().out
    assert "RNN" in told and "has no time constants" in told and "no single wiring" in told
    after = report.read_text(encoding="utf-8")
    for words in (
        "What LTC does",
        "Attributions of LTC",
        "Time constants of LTC",
        "Effects of lesions of neurons",
        "Effects of lesions of synapses",
        "Effects of lesions of units",
        "What RNN does",
    ):
        assert words in after
    assert "Time constants of RNN" not in after
    # A damaged file, or one of another network, is left out with a warning.
    ltc, rnn = (ModelFolder(StudyFolder(study).kept(TASK, model)).explanation for model in ("LTC", "RNN"))
    content = bytearray(ltc.read_bytes())
    content[len(content) // 2] ^= 1
    ltc.write_bytes(content)
    with pytest.raises(DamagedFileError):
        explanations.read(ltc.parent)
    ltc.write_bytes(rnn.read_bytes())
    with pytest.raises(DamagedFileError, match="belongs to"):
        explanations.read(ltc.parent)
    with pytest.warns(UserWarning, match="liquidbench explain"):
        assert [one.model for one in explanations.of_task(study, TASK)] == ["RNN"]
    ltc.unlink()
    rnn.unlink()
    assert main(["report", str(study)]) == 0
    assert report.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    "options, words",
    [(["--model", "GRU"], "there is no kept network of model 'GRU'"), (["--task", "x"], "--task must")],
)
def test_what_cannot_be_explained_is_one_sentence(study, options, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(study), *options])
    assert ended.value.code == 2 and words in capsys.readouterr().err


def test_attributions_are_complete(found):
    assert len(found.records) == explaining.RECORDS
    for record in found.records:
        change = record.score - record.baseline
        assert change != 0 and abs(record.gap) < 1e-3 * max(abs(change), 0.1)
        assert record.attributions.sum() == pytest.approx(change, abs=1e-3)
        assert (np.diff(record.time_constants, axis=0) >= 0).all() and (record.time_constants > 0).all()


def test_the_lesion_of_a_dead_neuron_has_no_effect(network, task, found):
    model = explaining.networks.unpack(network.description["network"], network.weights, task)
    wiring, dead = model.layer.wiring, 3
    assert wiring is not None and found.lesions is not None
    weights = safetensors.torch.load(network.weights)
    # Nobody reads the neuron: no neuron, and not the head.
    weights["head.weight"][:, dead] = 0
    pre = torch.as_tensor(np.asarray(wiring.synapses[0]))
    # softplus of it is the conductance.
    weights["layer.layers.0.0.raw_w"][pre == dead] = -1e4
    changed = replace(network, weights=safetensors.torch.save(weights))
    lesions = explaining.explain(changed, task).lesions
    assert lesions is not None
    assert list(lesions.units) == list(range(wiring.units))
    assert lesions.effects[dead] == 0
    assert np.abs(found.lesions.effects).max() > 0


def test_lesions_are_those_made_by_hand(study, network, task, found):
    """Of synapses of the LTC, and of units of the RNN, whose rows and columns of weights are 0 then."""
    data = explaining.Data(task.split("test"))
    chosen = torch.arange(len(data))[explaining.evenly(len(data), explaining.MOST_SEQUENCES)]

    def score(model):
        with torch.no_grad():
            targets, predictions = data.scored(chosen, model(*data.inputs(chosen)))
        return explaining.metrics.score(task.main, targets.numpy(), predictions.numpy())

    ltc = explaining.networks.unpack(network.description["network"], network.weights, task)
    assert found.synapses.part == "synapse" and found.synapses.of_units == ltc.layer.num_synapses
    place = int(np.abs(found.synapses.effects).argmax())
    kind, pre, _, post = found.synapses.kinds[place].split()
    pair = {"input": "sensory_synapses", "neuron": "synapses"}[kind]
    ltc.layer = ltc.layer.lesioned(ltc.layer.wiring.ablate(**{pair: [(int(pre), int(post))]}))
    assert score(ltc) - found.synapses.whole == pytest.approx(found.synapses.effects[place], abs=1e-9)

    kept_rnn = kept.read(StudyFolder(study).kept(TASK, "RNN"))
    units = explaining.explain(kept_rnn, task).lesions
    assert units.part == "unit" and units.of_units == len(units.units)
    for unit in (0, int(np.abs(units.effects).argmax())):
        rnn = explaining.networks.unpack(kept_rnn.description["network"], kept_rnn.weights, task)
        inner = rnn.layer.recurrences[0].rnn
        with torch.no_grad():
            for weights in (inner.weight_ih_l0, inner.weight_hh_l0, inner.bias_ih_l0, inner.bias_hh_l0):
                weights[unit] = 0
        assert score(rnn) - units.whole == pytest.approx(units.effects[unit], abs=1e-9)


def test_what_is_written_is_read_and_drawn_alike(found, network, tmp_path):
    kept.write(network, tmp_path)
    explanations.write(found, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = explanations.read(tmp_path)
    assert explained(again, "Task") == explained(found, "Task")
