"""Made released_cells.npz: what released cells compute, for the tests of layers to compare with.

Needs torch, tensorflow 2.15 and checkouts in one folder, each in its repository's name, at these commits:

    ode-lstms                         github.com/mlech26l, ad67a2a07fea2e97e47947d59f297e7eb1d2bd33 (MIT)
    coRNN                             github.com/tk-rusch, afd81744d108a2d623761b635b4ba56770d9e05d (MIT)
    minGRU-pytorch                    github.com/lucidrains, 38b26e119a2e85e70ea53825dc09b91b021afa06 (MIT)
    gru_ode_bayes                     github.com/edebrouwer, ddd0b34e884dbee1c09b6a3927d1e9ab10443af8 (MIT)
    neural-hawkes-particle-smoothing  github.com/hongyuanmei, 8f33c75038e739a2a0b61db854dd97d918ce2d19 (BSD-3-Clause)

    python released_cells.py FOLDER

Each case holds the cell's weights under its own names, inputs, time spans, and the outputs after each sample.
"""

import importlib.util
import sys
from pathlib import Path
from unittest import mock

import numpy as np

INPUTS, UNITS, BATCH, TIME = 3, 4, 2, 6


def load(path: Path):
    """A module from a file, without what its training code imports."""
    training = ("torchdyn", "torchdyn.models", "pytorch_lightning", "pytorch_lightning.metrics.functional")
    absent = {name: mock.MagicMock() for name in (*training, "pytorch_lightning.metrics", "torchdiffeq")}
    absent["pytorch_lightning"].LightningModule = object
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, absent):
        spec.loader.exec_module(module)
    return module


def of_torch(folder: Path, x: np.ndarray, spans: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Cases of cells in PyTorch."""
    import torch

    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    values, elapsed = torch.tensor(x), torch.tensor(spans)
    cases = {}

    def keep(name, module, outputs):
        weights = {key: value.numpy() for key, value in module.state_dict().items()}
        cases[name] = weights | {"outputs": torch.stack(outputs, 1).numpy()}

    with torch.no_grad():
        cell = load(folder / "coRNN" / "sMNIST" / "network.py").coRNNCell(INPUTS, UNITS, 0.3, 2.7, 4.7)
        y, z, outputs = torch.zeros(BATCH, UNITS), torch.zeros(BATCH, UNITS), []
        for t in range(TIME):
            y, z = cell(values[:, t], y, z)
            outputs.append(y)
        keep("coRNN", cell, outputs)

        node = load(folder / "ode-lstms" / "torch_node_cell.py")
        for solver in ("euler", "heun", "rk4"):
            cell = node.ODELSTMCell(INPUTS, UNITS, f"fixed_{solver}")
            state, outputs = (torch.zeros(BATCH, UNITS), torch.zeros(BATCH, UNITS)), []
            for t in range(TIME):
                state = cell(values[:, t], state, elapsed[:, t])
                outputs.append(state[0])
            keep(f"ODE-LSTM {solver}", cell, outputs)

        sys.path.insert(0, str(folder / "minGRU-pytorch"))
        from minGRU_pytorch.minGRU import minGRU
        from minGRU_pytorch.minLSTM import minLSTM

        # Their cells are as wide as their inputs.
        for kind in (minGRU, minLSTM):
            cell = kind(INPUTS)
            keep(kind.__name__, cell, list(cell(values).unbind(1)))

        bayes = load(folder / "gru_ode_bayes" / "gru_ode_bayes" / "models.py")
        cell, h, outputs = bayes.FullGRUODECell(INPUTS, UNITS), torch.zeros(BATCH, UNITS), []
        for t in range(TIME):
            for _ in range(4):
                h = h + elapsed[:, t, None] / 4 * cell(values[:, t], h)
            outputs.append(h)
        keep("GRU-ODE", cell, outputs)

        hawkes = load(folder / "neural-hawkes-particle-smoothing" / "nhps" / "models" / "cont_time_cell.py")
        # Its inputs are as wide as its state.
        cell, wide = hawkes.CTLSTMCell(UNITS), torch.randn(BATCH, TIME, UNITS)
        h = c = target = torch.zeros(BATCH, UNITS)
        rate, gate, outputs = torch.zeros(BATCH, UNITS), torch.zeros(BATCH, UNITS), []
        for t in range(TIME):
            c, h = cell.decay(c, target, rate, gate, elapsed[:, t])
            c, target, rate, gate = cell(wide[:, t], h, c, target)
            outputs.append(cell.decay(c, target, rate, gate, torch.zeros(BATCH))[1])
        keep("CT-LSTM", cell, outputs)
        cases["CT-LSTM"]["x"] = wide.numpy()
    return cases


def of_tensorflow(folder: Path, x: np.ndarray, spans: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """The CT-GRU of ODE-LSTM's authors, whose gates are made to read one scale per unit, as in the paper.

    It decays a state after the sample by the span that it is given: the next one, and none after the last.
    """
    import tensorflow as tf

    tf.keras.backend.set_floatx("float64")
    tf.keras.utils.set_random_seed(7)
    cell = load(folder / "ode-lstms" / "node_cell.py").CTGRU(UNITS)
    cell.build((None, INPUTS))
    layers = {"r": cell.retrieval_layer, "s": cell.update_layer, "q": cell.detect_layer}
    weights = {}
    for name, layer in layers.items():
        layer.build((None, INPUTS + UNITS))
        repeats = 1 if name == "q" else cell.M
        kernel, bias = np.random.default_rng(ord(name)).normal(0, 0.7, (2, INPUTS + UNITS, UNITS))
        weights |= {f"{name}.kernel": kernel, f"{name}.bias": bias[0]}
        layer.set_weights([kernel.repeat(repeats, 1), bias[0].repeat(repeats)])
    outputs = []
    for last in range(TIME):
        state = [tf.zeros((BATCH, UNITS * cell.M), tf.float64)]
        for t in range(last + 1):
            after = spans[:, t + 1, None] if t < last else np.zeros((BATCH, 1))
            output, state = cell.call((x[:, t], tf.constant(after)), state)
        outputs.append(output.numpy())
    return {"CT-GRU": weights | {"outputs": np.stack(outputs, 1)}}


def main(folder: str) -> None:
    rng = np.random.default_rng(7)
    shared = {"x": rng.normal(size=(BATCH, TIME, INPUTS)), "spans": rng.uniform(0.1, 1.5, (BATCH, TIME))}
    cases = of_torch(Path(folder), **shared) | of_tensorflow(Path(folder), **shared)
    kept = {f"{name}/{key}": value for name, case in cases.items() for key, value in (shared | case).items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **kept)


if __name__ == "__main__":
    main(sys.argv[1])
