from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from liquidbench import networks
from liquidbench.matching import count_parameters
from liquidbench.models import MODELS, READOUTS
from liquidbench.networks import build
from liquidbench.tasks.task import Feature, Recording, Source, Task, numbered
from liquidrnn import kernels
from liquidrnn.recurrence import FusedRecurrence


def task(per: str = "step", missing: bool = False, features: int = 3, outputs: int = 2) -> Task:
    def recordings(split: str) -> list[Recording]:
        random = np.random.default_rng(len(split))
        parts = []
        for index, steps in enumerate((9, 6)):
            values = random.normal(size=(steps, features)).astype(np.float32)
            targets = random.integers(0, outputs, steps) if per == "step" else index % outputs
            parts.append(Recording(f"{split}{index}", np.arange(steps) * 1.0, values, targets, 0))
        return numbered(parts)

    return Task(
        name="toy",
        title="Toy",
        description="Made up.",
        features=tuple(Feature(f"f{index}", "1") for index in range(features)),
        kind="classification",
        per=per,
        outputs=outputs,
        target_unit="1",
        classes=tuple(f"c{index}" for index in range(outputs)),
        metric="accuracy",
        metrics=("accuracy",),
        time_unit="s",
        source=Source("Toy", "", "none", ""),
        split_rule="By recording.",
        recordings=recordings,
        data_digest="0" * 64,
        baseline="prior",
        missing=missing,
    )


def tensors(batch: int, time: int, features: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return (
        torch.randn(batch, time, features, generator=generator),
        0.5 + torch.rand(batch, time, generator=generator),
    )


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="model must be one of LTC.*; got 'LSMT'"):
        build("LSMT", task(), 4, seed=0)
    with pytest.raises(ValueError, match="'author'; got 'RNN'"):
        networks.published("RNN")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_uses_time_spans(model):
    values, timespans = tensors(2, 7)
    network = build(model, task(), 12, seed=0)
    with torch.no_grad():
        assert not torch.allclose(network(values, timespans, None), network(values, 3 * timespans, None), atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_sequence_is_judged_at_its_last_observed_step(model):
    values, timespans = tensors(2, 7)
    network = build(model, task(per="sequence"), 12, seed=0)
    mask = torch.ones(2, 10, 3, dtype=torch.bool)
    mask[:, 7:] = False
    padded = torch.cat([values, torch.zeros(2, 3, 3)], 1), torch.cat([timespans, torch.zeros(2, 3)], 1)
    with torch.no_grad():
        short = network(values, timespans, None)
        assert short.shape == (2, 2)
        torch.testing.assert_close(network(*padded, mask), short)
        # Not at an earlier one.
        assert not torch.allclose(network(values[:, :6], timespans[:, :6], None), short, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_prediction_per_step_looks_at_no_later_step(model):
    values, timespans = tensors(2, 7)
    network = build(model, task(), 12, seed=0)
    with torch.no_grad():
        whole = network(values, timespans, None)
        assert whole.shape == (2, 7, 2)
        torch.testing.assert_close(network(values[:, :4], timespans[:, :4], None), whole[:, :4])


def test_where_features_can_be_missing_the_mask_is_read_too():
    values, timespans = tensors(2, 7)
    network = build("GRU", task(missing=True), 8, seed=0)
    assert network.layer.input_size == 6
    mask = torch.ones(2, 7, 3, dtype=torch.bool)
    with torch.no_grad():
        complete = network(values, timespans, None)
        torch.testing.assert_close(network(values, timespans, mask), complete)
        mask[:, 3, 1] = False
        values[:, 3, 1] = 0
        unseen = network(values, timespans, mask)
        # A zero that was seen is another thing than one that was not.
        assert not torch.allclose(network(values, timespans, None)[:, 3:], unseen[:, 3:], atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_the_seed_determines_the_network(model):
    torch.manual_seed(1)
    one = build(model, task(), 12, seed=7).state_dict()
    torch.manual_seed(2)
    again = build(model, task(), 12, seed=7).state_dict()
    other = build(model, task(), 12, seed=8).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(one[name].shape != other[name].shape or not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("model", [name for name, spec in MODELS.items() if spec.author])
def test_author_networks_can_be_built_and_name_their_source(model):
    author = networks.published(model)
    network = build(model, task(), author.hidden_size, seed=0, variant="author")
    assert network.layer.hidden_size == author.hidden_size
    for printed in (f"{author.hidden_size} units", f"learning rate {author.learning_rate:g}"):
        assert printed in author.source


def test_authors_networks_differ_where_their_scripts_do():
    matched, author = (build("CfC", task(), 64, seed=0, variant=variant) for variant in ("matched", "author"))
    assert count_parameters(author) > 2 * count_parameters(matched)


@pytest.mark.parametrize("model", MODELS)
def test_a_network_reports_its_backend(model, monkeypatch):
    """What is told is what a pass takes: with the kernels away, passes of compiled layers alone become others."""
    network = build(model, task(), 8, seed=0)
    fused = [one for one in network.layer.recurrences if isinstance(one, FusedRecurrence)]
    assert network.backend == ("cpu" if fused and kernels.cpu else "reference")
    assert network.instruction_set == (kernels.cpu.instruction_set() if fused and kernels.cpu else None)
    for one in fused:
        monkeypatch.setattr(one.operator, "kernels", {})
    assert (network.backend, network.instruction_set) == ("reference", None)


def test_backend_of_a_layer_on_the_reference():
    network = build("LTC", task(), 8, seed=0)
    for recurrence in network.layer.recurrences:
        recurrence.run_on("reference")
    assert (network.backend, network.instruction_set) == ("reference", None)


def by_hand(readout: str, outputs: torch.Tensor) -> torch.Tensor:
    """What is read out of the outputs of one sequence at its observed steps, (steps, units)."""
    if readout == "last":
        return outputs[-1]
    if readout == "mean":
        return outputs.mean(0)
    weights = torch.tensor([float(output @ outputs[-1]) / outputs.shape[1] ** 0.5 for output in outputs]).exp()
    return sum(weight * output for weight, output in zip(weights / weights.sum(), outputs, strict=True))


@pytest.mark.parametrize("model", ["GRU", "CfC", "GRU-D"])
@pytest.mark.parametrize("readout", READOUTS)
def test_a_readout_is_over_observed_steps_alone(readout, model):
    """Absent and padded steps, whatever is in them, count for nothing."""
    network = build(model, task("sequence", missing=True), 5, seed=0, readout=readout).eval()
    values, spans = tensors(4, 7)
    mask = torch.ones(4, 7, 3, dtype=torch.bool)
    mask[1, 4:] = mask[2, ::2] = mask[2, 5:] = False
    mask[0, 1, 0] = False
    values = values * mask
    with torch.no_grad():
        told = torch.cat([values, mask.float()], -1) if network.mask == "append" else values
        there = mask.any(-1)
        outputs, _ = network.layer(told, timespans=spans, mask=mask if network.mask == "native" else there)
        expected = torch.stack([by_hand(readout, one[seen]) for one, seen in zip(outputs[:3], there[:3], strict=True)])
        found = network(values, spans, mask)
        torch.testing.assert_close(found[:3], network.head(expected), rtol=1e-5, atol=1e-6)
        # Longer padding changes nothing, and nor does having no mask where all is there.
        longer = [torch.cat([part, torch.zeros_like(part[:, :3])], 1) for part in (values, spans, mask)]
        torch.testing.assert_close(network(*longer), found, rtol=1e-5, atol=1e-6)
        mask[3] = True
        torch.testing.assert_close(network(values[3:], spans[3:], None), network(values, spans, mask)[3:])


@pytest.mark.parametrize("readout", READOUTS)
def test_a_readout_has_no_parameters_and_a_sequence_without_a_sample_has_an_answer(readout):
    network = build("GRU", task("sequence", missing=True), 5, seed=0, readout=readout)
    assert count_parameters(network) == count_parameters(build("GRU", task("sequence", missing=True), 5, seed=0))
    values, spans = tensors(2, 4)
    mask = torch.ones(2, 4, 3, dtype=torch.bool)
    mask[0] = False
    network(values * mask, spans, mask).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters())


@pytest.mark.parametrize("model", ["GRU", "CfC", "GRU-D"])
@pytest.mark.parametrize("missing", [False, True])
def test_a_network_predicts_the_change_of_the_features_that_its_targets_continue(model, missing):
    toy = task(outputs=2, missing=missing)
    forecast = replace(
        toy,
        kind="regression",
        classes=None,
        metric="mse",
        metrics=("mse",),
        baseline="last value",
        carried=("f2", "f0"),
        recordings=lambda split: [replace(one, targets=one.values[:, :2]) for one in toy.recordings(split)],
    )
    network, plain = build(model, forecast, 5, seed=0), build(model, toy, 5, seed=0)
    plain.load_state_dict(network.state_dict())
    values, spans = tensors(4, 7)
    mask = torch.rand(4, 7, 3, generator=torch.Generator().manual_seed(1)) < 0.5 if missing else None
    values = values if mask is None else values * mask
    carried = pd.concat(
        [pd.DataFrame(one).where(pd.DataFrame(there)).ffill().fillna(0)[[2, 0]] for one, there in zip(
            values.numpy(), torch.ones(4, 7, 3, dtype=torch.bool).numpy() if mask is None else mask.numpy(), strict=True
        )]
    )  # fmt: skip
    change = network(values, spans, mask) - plain(values, spans, mask)
    np.testing.assert_allclose(change.detach().reshape(-1, 2), carried, atol=1e-6)
    # A head that says nothing gives the trivial forecast.
    split = forecast.split("test")
    with torch.no_grad():
        network.head.weight.zero_(), network.head.bias.zero_()
        said = network(*map(torch.from_numpy, (split.values, split.timespans)), None)
    known = split.target_mask
    np.testing.assert_allclose(said.numpy()[known], forecast.trivial_predictions()[known], atol=1e-6)


def test_an_unknown_readout_is_named():
    with pytest.raises(ValueError, match="readout must be one of last, mean, attention; got 'first'"):
        build("GRU", task("sequence"), 5, seed=0, readout="first")
