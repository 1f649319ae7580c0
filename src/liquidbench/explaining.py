"""Explains a kept network on test: attributions, time constants along records, lesions of neurons, units and synapses.

Nothing is trained. What it finds is stored by `liquidbench.explanations`, for reports to draw without torch.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liquidbench import metrics, networks
from liquidbench.explanations import Explanation, Lesions, Record, evenly, time_quantiles
from liquidbench.kept import Kept
from liquidbench.networks import SequenceModel
from liquidbench.tasks.task import Task
from liquidbench.training.learning import EVALUATION_BATCH, Data
from liquidrnn import attribution

RECORDS = 3
"""Predictions that are explained one by one, evenly spaced over the test sequences."""

STEPS = 64
"""Points of the quadrature of integrated gradients."""

MOST_UNITS = 64
"""Neurons or units, and synapses, at most that are taken out, evenly spaced over those of the layer."""

MOST_SEQUENCES = 256
"""Test sequences at most on which lesions are scored, evenly spaced."""


def explain(network: Kept, task: Task) -> Explanation:
    """Explain a network on the test split of its task.

    A prediction of a value is attributed in the target's unit, one of a class as its logit minus the mean of the
    others' (with two classes, its log odds). Of tasks with a target at each step, it is that at the last step with one.

    Args:
        network: the kept network.
        task: its task, of the outer split that it was trained on.

    Raises:
        ValueError: if the network is not of this task, or test has no target.
        CodeError: if a user-defined model is missing or has changed.
    """
    model = networks.unpack(network.form, network.weights, task)
    model.requires_grad_(False)
    data = Data(task.split("test"))
    scored = torch.nonzero(data.target_mask.flatten(1).any(1) if data.target_mask.ndim > 1 else data.target_mask)[:, 0]
    if not len(scored):
        raise ValueError(f"task {task.name!r} must have a target in test to explain a prediction; it has none")
    found = (_record(model, task, data, int(scored[at])) for at in evenly(len(scored), RECORDS))
    records = [record for record in found if record is not None]
    missing = []
    if any(record.time_constants is None for record in records):
        missing.append(f"{type(model.layer).__name__} has no time constants")
    lesions = synapses = None
    try:
        lesions = _lesions(model, task, data, scored, "units" if model.layer.wiring is None else "neurons")
        if model.layer.wiring is None:
            missing.append(f"{type(model.layer).__name__} here has no single wiring to take synapses out of")
        else:
            synapses = _lesions(model, task, data, scored, "synapses")
    except ValueError as error:
        missing.append(f"Lesions have no effect that is defined: {error}")
    return Explanation(
        run=network.run,
        model=network.model,
        features=tuple(feature.name for feature in task.features),
        time_unit=task.time_unit,
        score="the class’s logit minus the mean of the others’" if task.classes else f"in {_unit(task)}",
        records=records,
        lesions=lesions,
        missing=tuple(missing),
        synapses=synapses,
    )


def _record(model: SequenceModel, task: Task, data: Data, index: int) -> Record | None:
    """The prediction for a test sequence; None if nothing was observed before."""
    values, spans, mask = data.inputs(torch.tensor([index]))
    known = data.target_mask[index]
    last = int(torch.nonzero(known)[-1]) if known.ndim else values.shape[1] - 1
    # Nothing later can matter, as layers read forward in time.
    values, spans, mask = (None if part is None else part[:, : last + 1] for part in (values, spans, mask))
    assert values is not None and spans is not None

    def outputs(values: Tensor) -> Tensor:
        many = len(values)
        found = model(values, spans.expand(many, -1), None if mask is None else mask.expand(many, -1, -1))
        return found[:, -1] if model.per == "step" else found

    with torch.no_grad():
        chosen = int(outputs(values)[0].argmax()) if task.classes else 0
    others = [number for number in range(task.outputs) if number != chosen]
    scaler = task.target_scaler
    scale, shift = (1.0, 0.0) if scaler is None else (float(scaler.deviation[0]), float(scaler.mean[0]))

    def score(values: Tensor) -> Tensor:
        found = outputs(values)
        if task.classes:
            return found[:, chosen] - found[:, others].mean(1)
        return scale * found[:, 0] + shift

    found = attribution.integrated_gradients(score, values, steps=STEPS)
    with torch.no_grad():
        whole, baseline = (float(score(given)) for given in (values, torch.zeros_like(values)))
    observed = np.ones(values.shape[1:], dtype=bool) if mask is None else mask[0].numpy()
    there: NDArray[np.bool_] = np.asarray(observed.any(1))
    if not there.any():
        return None
    steps = spans[0].double().numpy()[there] * task.timespan_unit
    return Record(
        name=task.split("test").recordings[index],
        output=task.classes[chosen] if task.classes else "the target" if task.outputs == 1 else "the first target",
        score=whole,
        baseline=baseline,
        times=np.cumsum(steps) - steps[:1].sum(),
        spans=steps,
        values=np.where(observed, values[0].numpy(), np.nan)[there],
        attributions=found.values[0].numpy()[there],
        time_constants=_time_constants(model, (values, spans, mask), there, task.timespan_unit),
    )


def _time_constants(
    model: SequenceModel, inputs: tuple[Tensor, Tensor, Tensor | None], there: NDArray[np.bool_], unit: float
) -> NDArray[np.float32] | None:
    """Quantiles over units of the time constants at each step with an observation."""
    given: list[tuple[Any, Mapping[str, Any]]] = []
    # What the layer reads is the network's own affair: it may append the mask to the values.
    hook = model.layer.register_forward_pre_hook(lambda _, *read: given.append(read), with_kwargs=True)
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        hook.remove()
    arguments, named = given[0]
    with torch.no_grad():
        _, _, trace = model.layer(*arguments, **named, return_trace=True)
    if "tau" not in trace:
        return None
    return time_quantiles(trace["tau"][0].double().numpy()[there] * unit)


def _lesions(
    model: SequenceModel, task: Task, data: Data, scored: Tensor, part: Literal["units", "neurons", "synapses"]
) -> Lesions:
    chosen = scored[evenly(len(scored), MOST_SEQUENCES)]
    layer, wiring = model.layer, model.layer.wiring

    @torch.no_grad()
    def score() -> float:
        parts = [data.scored(batch, model(*data.inputs(batch))) for batch in chosen.split(EVALUATION_BATCH)]
        targets, predictions = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return metrics.score(task.main, targets, predictions)

    # What `attribution.lesion` takes, and what it is called.
    every: list[tuple[dict[str, Any], str]]
    if wiring is None:
        every = [({"units": [unit]}, "") for unit in range(layer.hidden_size * len(layer.recurrences))]
    elif part == "neurons":
        every = [({"neurons": [unit]}, kind) for unit, kind in enumerate(wiring.kinds)]
    else:
        pairs = {name: list(zip(*getattr(wiring, name)[:2], strict=True)) for name in ("sensory_synapses", "synapses")}
        named = {"sensory_synapses": "input", "synapses": "neuron"}
        every = [({of: [pair]}, f"{named[of]} {pair[0]} to {pair[1]}") for of, those in pairs.items() for pair in those]
    units, whole, effects = evenly(len(every), MOST_UNITS), score(), []
    for number in units:
        with attribution.lesion(layer, **every[number][0]):
            effects.append(score() - whole)
    return Lesions(
        metric=task.main.label,
        higher_is_better=task.main.higher_is_better,
        whole=whole,
        units=units,
        effects=np.array(effects),
        kinds=tuple(every[number][1] for number in units),
        of_units=len(every),
        sequences=len(chosen),
        of_sequences=len(scored),
        part=part.removesuffix("s"),
    )


def _unit(task: Task) -> str:
    if task.target_scaler is None or task.target_unit in ("1", "as in the table"):
        return "the target’s unit"
    return task.target_unit
