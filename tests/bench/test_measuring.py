"""What is measured of a network, against numbers worked out by hand."""

import os
import subprocess
import sys
import time

import pytest
import torch
from test_fit import run, select, task
from torch import nn

import liquidrnn as lr
from liquidbench import energy, measuring
from liquidbench.energy import EnergyCounters
from liquidbench.measuring import SavedTensors, measure_cost
from liquidrnn import kernels


def measured(rows):
    return {row["metric"]: row["value"] for row in rows}


def test_saved_tensors_of_two_linear_layers():
    model, x, targets = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 2)), torch.randn(5, 3), torch.randn(5, 2)
    with SavedTensors() as saved:
        loss = nn.functional.mse_loss(model(x), targets)
    # Tanh keeps its result, which the layer behind it keeps too; the loss keeps the output.
    assert saved.bytes([*model.parameters(), x, targets]) == 4 * (5 * 7 + 5 * 2)
    second = model[2].weight
    assert saved.bytes() == 4 * (5 * 7 + 5 * 2 + x.numel() + targets.numel() + second.numel())
    del loss
    assert saved.bytes() == 0, "what nothing holds any more is kept by nobody"


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_saved_tensors_of_an_lstm():
    time, batch, hidden = 6, 4, 5
    model, x = nn.LSTM(3, hidden), torch.randn(time, batch, 3)
    # oneDNN's own LSTM keeps what nobody can look into.
    with torch.backends.mkldnn.flags(enabled=False), SavedTensors() as saved:
        loss = model(x)[0].sum()
    # Of each sample: four gates in one piece, the cell and the state before, and the tangent of the cell.
    assert loss.requires_grad and saved.bytes([*model.parameters(), x]) == 4 * time * batch * hidden * 7


@pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")
def test_saved_tensors_of_a_compiled_layer_are_counted():
    def kept(steps):
        layer, x = lr.LTC(5, 64), torch.randn(steps, 32, 5)
        with SavedTensors() as saved:
            loss = layer(x)[0].sum()
        assert loss.requires_grad
        return saved.bytes([*layer.parameters(), x])

    # Of each sample the state, two numbers for each unit and solver step, and the input after its affine map, which
    # keeps the input in the layout of the kernels.
    grown = kept(9) - kept(3)
    assert grown == pytest.approx(4 * 6 * 32 * (64 + 2 * 6 * 64 + 2 * 5), rel=0.01)


def test_measured_costs_agree_with_one_another():
    toy, cost = task(), run("cost")
    found = measured(measure_cost(cost, toy))
    assert 0 < found["saved_for_backward_bytes"] < found["training_memory_bytes"]
    # Three batches of 8, 8 and 6 sequences.
    epoch = found["seconds_per_epoch"]
    assert found["training_sequences_per_second"] == pytest.approx(8 * 3 / epoch)
    assert found["inference_sequences_per_second"] > found["training_sequences_per_second"]


def machine(folder, domains):
    """A folder of counters: name of domain -> what it is, its energy and its range, in microjoules."""
    for domain, (name, energy_uj, most) in domains.items():
        (folder / domain).mkdir(parents=True)
        for file, content in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", most)):
            (folder / domain / file).write_text(f"{content}\n")
    return folder


PACKAGES = {
    "intel-rapl:0": ("package-0", 1_000_000, 262_143_328_850),
    "intel-rapl:0:0": ("core", 7, 262_143_328_850),
    "intel-rapl:1": ("package-1", 9_000_000, 10_000_000),
    "intel-rapl:2": ("psys", 5, 262_143_328_850),
    "intel-rapl-mmio:0": ("package-0", 1_000_000, 262_143_328_850),
}


def test_energy_is_that_of_packages_and_survives_a_counter_that_starts_again(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.0)
    folder = machine(tmp_path, PACKAGES)

    def work(number):
        for domain in PACKAGES:
            counter = folder / domain / "energy_uj"
            most = PACKAGES[domain][2]
            counter.write_text(str((int(counter.read_text()) + 300_000) % most))

    counters = EnergyCounters(folder)
    # Four calls take 1.2 J of each package; the second one's counter passes its end at 10 J.
    assert counters.joules_of(work, calls=4) == pytest.approx(2 * 0.3)
    assert (folder / "intel-rapl:1" / "energy_uj").read_text() == "200000" and counters.missing == ""


def test_energy_is_taken_over_long_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.05)
    counter = machine(tmp_path, PACKAGES) / "intel-rapl:0" / "energy_uj"
    calls = []

    def work(number):
        calls.append(number)
        time.sleep(0.01)
        counter.write_text(str(int(counter.read_text()) + 1_000_000))

    assert EnergyCounters(tmp_path).joules_of(work, calls=1) == pytest.approx(1.0)
    assert calls == list(range(len(calls))) and len(calls) > 1


def test_without_counters_there_is_no_energy(tmp_path):
    def never(number):
        raise AssertionError("nothing is to be measured")

    for folder in (tmp_path / "none", machine(tmp_path / "cores", {"intel-rapl:0:0": PACKAGES["intel-rapl:0:0"]})):
        counters = EnergyCounters(folder)
        assert counters.missing == f"there are no counters of a processor package in {folder}"
        assert counters.joules_of(never, calls=1) is None


def test_unreadable_or_constant_counters_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.0)
    counters = EnergyCounters(machine(tmp_path / "still", PACKAGES))
    assert counters.joules_of(lambda number: None, calls=1) is None and counters.missing == "its counters do not move"

    folder = machine(tmp_path / "torn", PACKAGES)
    (folder / "intel-rapl:0" / "energy_uj").write_text("")
    assert EnergyCounters(folder).missing.startswith("its counters cannot be read (")

    folder = machine(tmp_path / "lost", PACKAGES)
    counters = EnergyCounters(folder)
    lost = folder / "intel-rapl:1" / "energy_uj"
    assert counters.joules_of(lambda number: lost.unlink(), calls=1) is None
    assert counters.missing.startswith("its counters cannot be read (")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_counters_without_permission_are_not_used(tmp_path):
    folder = machine(tmp_path, PACKAGES)
    (folder / "intel-rapl:0" / "energy_uj").chmod(0)
    assert "Permission denied" in EnergyCounters(folder).missing


def test_energy_is_a_row_if_the_machine_has_counters(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.0)
    folder = machine(tmp_path, PACKAGES)
    counter, step = folder / "intel-rapl:0" / "energy_uj", measuring.step

    def costly(*arguments):
        counter.write_text(str(int(counter.read_text()) + 2_000_000))
        return step(*arguments)

    monkeypatch.setattr(measuring, "step", costly)
    monkeypatch.setattr(measuring, "EnergyCounters", lambda: EnergyCounters(folder))
    assert measured(measure_cost(run("cost"), task()))["training_energy_joules"] == pytest.approx(3 * 2.0)

    monkeypatch.setattr(measuring, "EnergyCounters", lambda: EnergyCounters(tmp_path / "none"))
    assert not select(measure_cost(run("cost"), task()), metric="training_energy_joules")


@pytest.mark.slow
def test_the_profiler_prints_nothing():
    # In a process of its own, for it asks once how much it is to print.
    code = "import torch; from liquidbench import measuring; print(measuring._peak_memory(lambda: torch.ones(1000)))"
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert int(ended.stdout) >= 4000 and not ended.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts what others use")
def test_the_load_of_others_is_theirs_and_not_ours():
    others, program = measuring.OtherLoad(), "import time\nwhile True: pass"
    assert others.cores is None
    busy = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(os.cpu_count() or 1)]
    try:
        with others:
            time.sleep(0.5)
    finally:
        for one in busy:
            one.kill()
            one.wait()
    # They take what they get; whatever else runs here only adds to it.
    assert others.cores is not None and others.cores > 0.4
    own, began, used = measuring.OtherLoad(), time.perf_counter(), time.process_time()
    with own:
        while time.perf_counter() - began < 0.3:
            pass
    used = (time.process_time() - used) / (time.perf_counter() - began)
    assert own.cores is not None and own.cores <= (os.cpu_count() or 1) - used + 0.2
