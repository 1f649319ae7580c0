"""Measures what is proved, or claimed, about the layers: figures and tables of docs/theory.md.

    python benchmarks/theory.py              # all of docs/results/theory/, a quarter of an hour on one core
    python benchmarks/theory.py solver flow  # some of it

All layers are as they start, but in the section "trained"; spreads are over draws of their parameters.
"""

import copy
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor

import liquidrnn as lr
from liquidbench import metrics, networks, tasks
from liquidbench.search import Settings
from liquidbench.training.learning import Data, predict
from liquidbench.training.trainer import Trainer
from liquidrnn import theory
from liquidrnn.integrate import advance
from liquidrnn.recurrent import Recurrence, RecurrentLayer

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "theory"
# From the colour-blind-safe palette of Okabe and Ito, then greys.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#8c564b", "#5a5a9a"]
UNITS = 32

KINDS: dict[str, Callable[..., RecurrentLayer]] = {
    "LTC": lr.LTC,
    "CfC": lr.CfC,
    "CfC, mixed memory": lambda *a, **k: lr.CfC(*a, mixed_memory=True, **k),
    "STC": lr.STC,
    "LRC": lr.LRC,
    "LRCU": lr.LRCU,
    "CT-RNN": lr.CTRNN,
    "ODE-RNN": lr.ODERNN,
    "GRU-D": lr.GRUD,
    "LSTM": lr.LSTM,
    "GRU": lr.GRU,
    "RNN": lr.RNN,
}


def build(kind: Callable[..., RecurrentLayer], inputs: int, draw: int, **options) -> RecurrentLayer:
    generator = torch.Generator().manual_seed(draw)
    return kind(inputs, UNITS, batch_first=True, dtype=torch.float64, generator=generator, **options)


def noise(*shape: int, draw: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1000 + draw))


def spread(values, digits: int = 3) -> str:
    """Median and range."""
    low, middle, high = (f"{q:.{digits}g}" for q in np.quantile(np.asarray(values, float), (0, 0.5, 1)))
    return f"{middle} ({low} to {high})"


def table(name: str, heads: list[str], rows: list[list[str]], notes: str) -> None:
    lines = [heads, ["---"] * len(heads), *rows]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(
        f"{text}\n\n{notes} Made by `python benchmarks/theory.py {name.partition('_')[0]}`.\n", "utf-8"
    )
    print(text, "\n", flush=True)


def axes(columns: int = 1):
    plt.rcParams |= {"svg.hashsalt": "theory", "svg.fonttype": "none", "font.size": 9, "axes.prop_cycle": _cycle()}
    figure, found = plt.subplots(1, columns, figsize=(4.2 * columns + 0.8, 3.3), layout="constrained", squeeze=False)
    return figure, list(found[0])


def _cycle():
    return plt.cycler(color=COLOURS)


def save(figure, name: str) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def bounds() -> None:
    """Time constants and states along sequences, inside their bounds; and states with negative conductances."""
    figure, (left, right) = axes(2)
    rows, brief = [], math.nan
    for name, kind in {"LTC": lr.LTC, "STC": lr.STC, "LRC": lr.LRC}.items():
        layer = build(kind, 7, 0)
        trace = layer(3 * noise(4, 200, 7, draw=0), return_trace=True)[2]
        cells = [name]
        for quantity, found in {"tau": theory.time_constant_bounds(layer), "state": theory.state_bounds(layer)}.items():
            low, high = found
            values = trace[quantity].detach()
            outside = ((values < low - 1e-12) | (values > high + 1e-12)).sum()
            used = ((values.amax((0, 1)) - values.amin((0, 1))) / (high - low)).mean()
            cells += [f"{int(outside)} of {values.numel():,}", f"{100 * used:.1f} %" if used > 0 else "no upper bound"]
            if name == "LTC" and quantity == "tau":
                brief = (values < 1 / 6).double().mean()
                order, unit = low.argsort(), np.arange(UNITS)
                left.fill_between(unit, low[order], high[order], color=COLOURS[0], alpha=0.15, label="bounds")
                ends = values.amin((0, 1))[order], values.amax((0, 1))[order]
                left.vlines(unit, *ends, color=COLOURS[0], lw=2, label="range along sequences")
        rows.append(cells)
    left.set(yscale="log", xlabel="neuron", ylabel="time constant", title="LTC: time constants")
    left.axhline(1 / 6, color="#999999", lw=1, ls="--", label="one of six solver steps")
    left.legend(fontsize=7)
    x = noise(1, 300, 7, draw=0)
    for number, (label, sign) in enumerate({"w ≥ 0": 1, "w < 0": -1}.items()):
        layer = build(lr.LTC, 7, 0, constraint=None)
        low, high = theory.state_bounds(layer)
        with torch.no_grad():
            layer.recurrences[0].raw_w.mul_(sign)  # type: ignore[operator]
        states = layer(x, return_trace=True)[2]["state"].detach()[0]
        colour = COLOURS[number]
        right.plot(
            states.abs().amax(-1).nan_to_num(1e6).clamp(1e-2, 1e6), color=colour, lw=1, label=f"largest state, {label}"
        )
        outside = 1 - ((states >= low) & (states <= high)).double().mean()
        rows.append([f"LTC, constraint=None, {label}", "", "", f"{100 * outside:.0f} % of states", ""])
    right.axhline(float(high.max()), color="#999999", ls="--", lw=1, label="bound")
    right.set(yscale="log", xlabel="sample", ylabel="largest |state|, cut at a million")
    right.set_title("LTC without positive conductances")
    right.legend(fontsize=7)
    save(figure, "bounds")
    notes = f"{UNITS} units, 7 inputs of standard deviation 3, 4 sequences of 200 samples; of LTC's time constants "
    notes += f"{100 * brief:.1f} % are below a sixth of a sample, one solver step."
    heads = ["layer", "time constants outside", "share of interval", "states outside", "share of interval"]
    table("bounds", heads, rows, notes)


def solver() -> None:
    """Error against the number of steps, for the fused step and explicit methods."""
    draws, counts = 10, {"layer": (1, 3, 6, 12, 24, 96), "euler": (1, 3, 6, 12, 24, 96), "rk4": (1, 3, 6, 12, 24)}
    names = {"layer": "fused", "euler": "explicit Euler", "rk4": "RK4"}
    found = {method: [] for method in counts}
    for draw in range(draws):
        layer, x = build(lr.LTC, 7, draw, ode_unfolds=1), noise(2, 7, draw=draw)
        hx = torch.rand(1, 2, UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(draw)) - 0.5
        for method, steps in counts.items():
            errors = theory.solver_error(layer, x, hx, steps=steps, method=method, accurate=60)
            found[method].append(errors.nan_to_num(math.inf).mean(1))
    figure, (left,) = axes()
    rows = []
    for method, steps in counts.items():
        errors = torch.stack(found[method])
        left.plot(steps, errors.median(0).values, "o-", label=names[method])
        left.fill_between(steps, errors.amin(0), errors.amax(0).clamp(max=1e6), alpha=0.15)
        rows.append([names[method], *(f"{e:.1e}" for e in errors.median(0).values)])
        rows[-1] += [""] * (8 - 1 - len(rows[-1]))
        rows.append([f"{names[method]}, error above 1", *(f"{100 * e:.0f} %" for e in (errors > 1).double().mean(0))])
        rows[-1] += [""] * (8 - 1 - len(rows[-1]))
    left.set(
        xscale="log", yscale="log", xlabel="steps per sample, L", ylabel="largest error of a state", ylim=(1e-8, 1e4)
    )
    left.axvline(6, color="#999999", ls="--", lw=1)
    left.legend(fontsize=8)
    save(figure, "solver")
    notes = f"LTC of {UNITS} units and 7 inputs, a sample held for a time of 1; medians over {draws} draws."
    table("solver", ["method", *(f"L = {count}" for count in counts["layer"])], rows, notes)


class Target(Recurrence):
    """h' = h + (1 - exp(-rate dt)) (target(u) - h): the exact flow towards a target that the input sets."""

    def __init__(self, inputs: int, units: int, generator: torch.Generator):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = inputs, units, units
        self.state_sizes, self.num_synapses = (units,), inputs * units
        drawn = torch.randn(inputs + 1, units, dtype=torch.float64, generator=generator)
        self.weight, self.rate = torch.nn.Parameter(drawn[:-1]), torch.nn.Parameter(drawn[-1].abs())

    def update(self, coefficients, inputs, state):
        """The equation."""
        (h,) = state
        return (h + (1 - torch.exp(-self.rate * inputs.timespans)) * (torch.tanh(inputs.values @ self.weight) - h),)


def target(inputs: int, units: int, generator: torch.Generator, dtype: torch.dtype, **options) -> RecurrentLayer:
    return RecurrentLayer(lambda width: Target(width, units, generator), inputs, **options)


def flow() -> None:
    """A step of a span against two of half, and against nothing for a span of zero."""
    chosen = {"exact flow (control)": target} | {n: KINDS[n] for n in ("LTC", "STC", "LRC", "LRCU", "CT-RNN", "CfC")}
    chosen |= {"GRU, decay": lambda *a, **k: lr.GRU(*a, time="decay", **k)}
    chosen |= {"ODE-RNN": lr.ODERNN, "GRU-D": lr.GRUD}
    spans, draws = np.geomspace(0.01, 10, 7), 5
    figure, (left,) = axes()
    rows = []
    for number, (name, kind) in enumerate(chosen.items()):
        share, gaps = np.empty((draws, len(spans))), []
        for draw in range(draws):
            layer = build(kind, 3, draw)
            x = noise(16, 3, draw=draw)
            sizes = [noise(1, 16, size, draw=draw) for size in layer.recurrences[0].state_sizes]
            hx = tuple(0.4 * part.abs() if place else 0.4 * part for place, part in enumerate(sizes))
            hx = hx if len(hx) > 1 else hx[0]
            for place, span in enumerate(spans):
                found = theory.flow_gaps(layer, x, hx, float(span))
                share[draw, place] = found.semigroup / found.movement
            gaps.append(theory.flow_gaps(layer, x, hx, 1.0))
        left.plot(spans, np.median(share, 0).clip(1e-17), ".-", color=COLOURS[number], label=name)
        columns = zip(*gaps, strict=True)
        rows.append([name, *(spread(column, 2) for column in columns)])
    decay = [_decay_gap(bias) for bias in (0.0, 0.5)]
    left.set(
        xscale="log", yscale="log", xlabel="time span", ylabel="gap / movement", title="One step against two halves"
    )
    left.legend(fontsize=6, ncols=2)
    save(figure, "flow")
    notes = (
        f"Root mean squares over {UNITS} units and 16 states of scale 0.4, span 1; median and range of {draws} draws. "
    )
    notes += f"GRU-D's decay alone: a span of 1 against two halves, largest difference {decay[0]:.1g} as it starts, "
    notes += f"{decay[1]:.2g} once its bias is 0.5."
    table("flow", ["layer", "two halves", "span of zero", "movement"], rows, notes)


def _decay_gap(bias: float) -> float:
    """Largest difference between a GRU-D's decay over a span of 1 and over two halves."""
    layer = build(lr.GRUD, 3, 0)
    with torch.no_grad():
        layer.recurrences[0].state_decay_bias.fill_(bias)  # type: ignore[operator]
    x = noise(4, 1, 3, draw=0)
    whole, half = (layer(x, timespans=span, return_trace=True)[2]["decay"].detach() for span in (1.0, 0.5))
    return float((whole - half**2).abs().max())


def smoothness() -> None:
    """Restlessness of states at the same mean rate, driven by a square wave with noise."""
    draws, rates = 10, (0.05, 0.2, 0.8)
    chosen = {"LTC": lr.LTC, "STC": lr.STC, "LRC, symmetric": lr.LRC}
    chosen |= {"LRC, asymmetric": lambda *a, **k: lr.LRC(*a, elastance="asymmetric", **k), "CT-RNN": lr.CTRNN}
    wave = torch.sign(torch.sin(torch.arange(300, dtype=torch.float64) * 2 * torch.pi / 60))[None, :, None]
    figure, both = axes(2)
    rows = []
    for number, (name, kind) in enumerate(chosen.items()):
        found = np.empty((len(rates), draws, 5))
        for draw in range(draws):
            layer, x = build(kind, 2, draw), wave + 0.5 * noise(1, 300, 2, draw=draw)
            for place, rate in enumerate(rates):
                span = theory.timespan_at_rate(layer, x, rate)
                states = layer(x, timespans=span, return_trace=True)[2]["state"].detach()
                jacobians = theory.jacobians(layer, x[:, :40], timespans=span)
                lipschitz = torch.linalg.matrix_norm(jacobians, 2).max()
                measured = theory.smoothness(states[:, 60:])
                found[place, draw] = [span, *(float(value) for value in measured), float(lipschitz)]
                if place == 1 and draw == 0 and number < 3:
                    unit = int(states.std(1)[0].argsort()[UNITS // 2])
                    path = states[0, 60:200, unit]
                    both[1].plot(
                        (path - path.mean()) / path.std() + 4 * number, color=COLOURS[number], lw=1, label=name
                    )
        for place, rate in enumerate(rates):
            rows.append([name, f"{rate:g}", *(spread(column) for column in found[place].T)])
        variation = np.median(found[..., 1], 1)
        both[0].plot(rates, variation, "o-", color=COLOURS[number], label=name)
        both[0].fill_between(rates, found[..., 1].min(1), found[..., 1].max(1), color=COLOURS[number], alpha=0.12)
    both[0].set(xscale="log", xlabel="mean of span / tau", ylabel="total variation / standard deviation")
    both[0].legend(fontsize=7)
    both[1].set(xlabel="sample", yticks=[], title="A median unit at 0.2, standardised")
    both[1].legend(fontsize=7, loc="upper right")
    save(figure, "smoothness")
    heads = ["layer", "rate", "time span", "total variation", "sign changes", "largest step", "Lipschitz constant"]
    table("smoothness", heads, rows, f"{UNITS} units, 240 samples; median and range of {draws} draws.")


def length() -> None:
    """Length of the image of a circle: the paper's three equations with the same weights, then the layers."""
    draws, samples, units = 20, 120, 32
    angle = torch.linspace(0, 2 * torch.pi, samples + 1, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    own = float(theory.trajectory_length(circle[None]))
    figure, both = axes(2)
    rows, scales = [], (1.0, 2.0, 4.0, 8.0)
    generator = torch.Generator().manual_seed(0)
    recurrent, sensory, bias, sign = (
        torch.randn(draws, *shape, dtype=torch.float64, generator=generator)
        for shape in ((units, units), (2, units), (1, units), (1, units))
    )
    scale = torch.tensor(scales, dtype=torch.float64)[:, None, None, None]
    recurrent, sensory, potential = scale * recurrent / units**0.5, scale * sensory / 2**0.5, sign.sign()
    equations = {"Neural ODE": lambda h, f: f * potential, "CT-RNN": lambda h, f: f * potential - h}
    equations["LTC"] = lambda h, f: f * potential - (1 + f) * h
    for shade, (gate, form) in enumerate({"σ": torch.sigmoid, "tanh": torch.tanh}.items()):
        for number, (name, equation) in enumerate(equations.items()):

            def slope(h: Tensor, u: Tensor, equation=equation, form=form) -> Tensor:
                return equation(h, form(h @ recurrent + u[None] @ sensory + bias))

            h, path = torch.zeros(len(scales), draws, 1, units, dtype=torch.float64), []
            # Two turns, the first of which is forgotten.
            for u in [*circle[:-1], *circle]:
                h = advance(partial(slope, u=u), h, 0.1, 1, "rk4")
                path.append(h[:, :, 0])
            states = torch.stack(path[samples:], 2)
            unscaled = states.diff(dim=2).norm(dim=-1).sum(-1) / (own / 2**0.5)
            fair = torch.stack([theory.trajectory_length(one) for one in states]) / own
            for place in range(len(scales)):
                cells = [f"{name}, f = {gate}", f"{scales[place]:g}", spread(unscaled[place]), spread(fair[place])]
                rows.append(cells)
            style = {"color": COLOURS[number], "ls": ("-", "--")[shade]}
            both[0].plot(scales, fair.median(1).values, marker="o", label=f"{name}, f = {gate}", **style)
            both[0].fill_between(scales, fair.amin(1), fair.amax(1), color=COLOURS[number], alpha=0.08)
    both[0].set(xscale="log", xlabel="scale of weights", ylabel="length / size, relative to the circle's")
    both[0].set_title("Same weights, three equations")
    both[0].legend(fontsize=7)
    shown = {}
    for name, kind in KINDS.items():
        lengths, raw = [], []
        for draw in range(draws // 2):
            layer = build(kind, 2, draw)
            x = torch.cat([circle[:-1], circle])[None]
            states = layer(x, return_trace=True)[2]["state"].detach()[:, samples:]
            lengths.append(float(theory.trajectory_length(states)) / own)
            raw.append(float(states.diff(dim=1).norm(dim=-1).sum()) / (own / 2**0.5))
        shown[name] = lengths
        rows.append([f"{name}, layer", "as it starts", spread(raw), spread(lengths)])
    both[1].boxplot(list(shown.values()), orientation="horizontal", tick_labels=list(shown), widths=0.6)
    both[1].invert_yaxis()
    both[1].set(xlabel="length / size, relative to the circle's", title="Layers as they start")
    save(figure, "length")
    notes = f"{units} units; median and range of {draws} draws (layers: {draws // 2}). 1 is the input's own."
    table("length", ["network", "scale", "length as it is", "length / size"], rows, notes)


def memory() -> None:
    """Gradient of the last state by the first, and Lyapunov exponents, under random inputs."""
    draws, samples, discard = 3, 150, 50
    figure, both = axes(2)
    rows, shown = [], {}
    for number, (name, kind) in enumerate(KINDS.items()):
        logs, exponents = [], []
        for draw in range(draws):
            layer = build(kind, 3, draw)
            jacobians = theory.jacobians(layer, noise(2, samples, 3, draw=draw))
            logs.append(theory.log_gradient_norms(jacobians) / math.log(10))
            exponents.append(theory.lyapunov_exponents(jacobians, discard=discard)[:, 0].mean())
        curve = torch.stack(logs).mean((0, 1))
        style = "-" if number < 6 else "--"
        both[0].plot(np.arange(1, samples + 1), curve.clamp(min=-30), style, label=name, color=COLOURS[number % 10])
        shown[name] = [float(value) for value in exponents]
        at = [f"{10 ** curve[place - 1]:.1e}" for place in (1, 10, 100)]
        rows.append([name, *at, spread(shown[name]), f"{-1 / np.median(shown[name]):.3g}"])
    both[0].set(xlabel="sample", ylabel="log10 of the gradient's norm", ylim=(-30, 2))
    both[0].legend(fontsize=6, ncols=2, loc="lower left")
    both[1].barh(list(shown), [np.median(values) for values in shown.values()], color=COLOURS[0])
    both[1].invert_yaxis()
    both[1].set(xlabel="largest Lyapunov exponent per sample")
    save(figure, "memory")
    heads = ["layer", "gradient after 1", "after 10", "after 100 samples", "largest exponent", "memory, samples"]
    notes = f"{UNITS} units, 3 normal inputs, spans of 1; geometric means, and medians and ranges, of {draws} draws."
    table("memory", heads, rows, notes)


TASK, SMALL, STEPS, SOLVER_STEPS = "gesture-excerpt", 16, 150, (1, 3, 6, 12)


def fitted(model: str, draw: int, **structure: int) -> tuple[networks.SequenceModel, networks.SequenceModel]:
    """A network as it starts, and after training."""
    task = tasks.load(TASK)
    train, validation = (Data(task.split(name)) for name in ("train", "validation"))
    first, last = (networks.build(model, task, SMALL, draw, structure=structure) for _ in range(2))
    how = {"steps": STEPS, "batch_size": 64, "seed": draw, "metric": task.main}
    Trainer(last, Settings(0.01), train, validation, **how).run()  # type: ignore[arg-type]
    return first.eval(), last.eval()


def accuracy(network: networks.SequenceModel) -> float:
    """On test."""
    task = tasks.load(TASK)
    targets, predictions = predict(network, Data(task.split("test")))
    return metrics.score(task.main, targets.numpy(), predictions.numpy())


def with_steps(network: networks.SequenceModel, draw: int, steps: int) -> networks.SequenceModel:
    """The same LTC with another number of solver steps."""
    changed = networks.build("LTC", tasks.load(TASK), SMALL, draw, structure={"ode_unfolds": steps})
    changed.load_state_dict(network.state_dict())
    return changed.eval()


def trained() -> None:
    """What training does to time constants, bounds, gradients and exponents; and L changed after training."""
    draws, figure, (left, middle, right) = 3, *axes(3)
    values, spans, _ = Data(tasks.load(TASK).split("validation")).inputs(torch.arange(4))
    values, spans = values.double(), spans.double()
    rows, scores = [], {trained_with: [] for trained_with in (6, 1)}
    for number, name in enumerate(("LTC", "CfC", "GRU")):
        found: dict[str, list[list[float]]] = {"as it starts": [], "trained": []}
        curves: dict[str, list[Tensor]] = {state: [] for state in found}
        quantiles: dict[str, list[np.ndarray]] = {state: [] for state in found}
        for draw in range(draws):
            pair = fitted(name, draw)
            if name == "LTC":
                scores[6].append([accuracy(with_steps(pair[1], draw, steps)) for steps in SOLVER_STEPS])
            for state, network in zip(found, pair, strict=True):
                layer = copy.deepcopy(network.layer).double()
                trace = layer(values, timespans=spans, return_trace=True)[2]
                tau, states = trace["tau"].detach(), trace["state"].detach()
                low, high = theory.state_bounds(layer)
                outside = ((states < low - 1e-9) | (states > high + 1e-9)).double().mean()
                if name == "LTC":
                    fastest, slowest = theory.time_constant_bounds(layer)
                    outside += ((tau < fastest - 1e-9) | (tau > slowest + 1e-9)).double().mean()
                jacobians = theory.jacobians(layer, values, timespans=spans)
                logs = theory.log_gradient_norms(jacobians).mean(0) / math.log(10)
                exponent = theory.lyapunov_exponents(jacobians, discard=8)[:, 0].mean()
                curves[state].append(logs)
                quantiles[state].append(np.quantile(tau.numpy(), (0.05, 0.25, 0.5, 0.75, 0.95), method="nearest"))
                brief = (tau < spans[..., None]).double().mean()
                measured = (quantiles[state][-1][2], 100 * brief, outside, logs[9], exponent, 100 * accuracy(network))
                found[state].append([float(one) for one in measured])
        for place, (state, each) in enumerate(found.items()):
            style = {"color": COLOURS[number], "ls": ("--", "-")[place]}
            low, q1, middle_, q3, high = np.median(quantiles[state], axis=0)
            x = 2 * number + 0.7 * place
            left.vlines(x, low, high, **style, lw=1)
            left.vlines(x, q1, q3, color=COLOURS[number], lw=5, alpha=(0.4, 1)[place])
            left.plot(x, middle_, "o", color="white", mec=COLOURS[number], ms=4)
            curve = torch.stack(curves[state]).mean(0)
            middle.plot(np.arange(1, len(curve) + 1), curve.clamp(min=-30), label=f"{name}, {state}", **style)
            median, brief, outside, ten, exponent, score = np.array(each).T
            rows.append([name, state, spread(median), f"{np.median(brief):.0f} %", f"{outside.max():g}"])
            rows[-1] += [f"{10 ** np.mean(ten):.1e}", spread(exponent), spread(score)]
    left.set(yscale="log", xticks=[0.35, 2.35, 4.35], xticklabels=["LTC", "CfC", "GRU"], ylabel="time constant, spans")
    left.set_title("Before and after training")
    middle.set(xlabel="sample", ylabel="log10 of the gradient's norm")
    middle.legend(fontsize=7)
    scores[1] = [
        [accuracy(with_steps(network, draw, steps)) for steps in SOLVER_STEPS]
        for draw in range(draws)
        for network in [fitted("LTC", draw, ode_unfolds=1)[1]]
    ]
    steps_rows = []
    for number, (with_, each) in enumerate(scores.items()):
        by_steps = 100 * np.array(each)
        right.plot(SOLVER_STEPS, by_steps.mean(0), "o-", color=COLOURS[number], label=f"trained with L = {with_}")
        right.fill_between(SOLVER_STEPS, by_steps.min(0), by_steps.max(0), color=COLOURS[number], alpha=0.15)
        steps_rows.append([str(with_), *(spread(column) for column in by_steps.T)])
    right.set(xscale="log", xlabel="solver steps L at test", ylabel="accuracy on test, %", title="LTC")
    right.set_xticks(SOLVER_STEPS, [str(one) for one in SOLVER_STEPS])
    right.legend(fontsize=7)
    save(figure, "trained")
    notes = f"Networks of {SMALL} units on `{TASK}`, as they start and after at most {STEPS} steps of 64 sequences at "
    notes += f"a rate of 0.01; medians and ranges of {draws} draws, on four validation sequences of 32 samples."
    heads = ["network", "", "time constant, median", "shorter than the span", "share outside bounds"]
    heads += ["gradient after 10 samples", "largest exponent per sample", "accuracy on test, %"]
    table("trained", heads, rows, notes)
    notes = "Accuracy on test, in percent, of the same LTC with another number of solver steps than in training."
    heads = ["L in training", *(f"L = {one} at test" for one in SOLVER_STEPS)]
    table("trained_steps", heads, steps_rows, notes)


SECTIONS = (bounds, solver, flow, smoothness, length, memory, trained)


def main(names: list[str]) -> None:
    known = {section.__name__: section for section in SECTIONS}
    for name in names or list(known):
        if name not in known:
            raise SystemExit(f"sections are {', '.join(known)}, but got {name!r}")
        known[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
