"""Made lrc_reference.npz: what the authors' own cell computes, for test_liquid.py to compare with.

Needs tensorflow 2.15 and a checkout of github.com/MoniFarsang/LRC (MIT licence) at commit
c9f6106888d90da43584983de4f9422d56febcd8:

    python lrc_reference.py CHECKOUT

Each case holds the cell's weights, inputs, time spans, and the states after each sample.
"""

import sys
from pathlib import Path

import numpy as np

INPUTS, UNITS, BATCH, TIME = 3, 5, 2, 6


def main(checkout: str) -> None:
    import tensorflow as tf

    sys.path.insert(0, str(Path(checkout) / "classification"))
    from lrc_cell import LRC_Cell

    tf.keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    kept = {}
    for elastance in ("symmetric", "asymmetric", "interp"):
        for solver in ("explicit", "hybrid"):
            cell = LRC_Cell(UNITS, elastance_type=elastance, ode_solver=solver, ode_unfolds=1)
            cell.build((None, INPUTS))
            cell.elastance_mapping.build((None, INPUTS + UNITS))
            for name in ("input_w", "input_b", "output_w", "output_b"):
                cell._params[name].assign(rng.normal(1, 0.3, cell._params[name].shape))
            cell.elastance_mapping.bias.assign(rng.normal(0, 0.3, UNITS))
            x = rng.normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
            # Within (0, 1]: there an explicit step is not limited here, as it never is there.
            spans = rng.uniform(0.1, 1.0, (BATCH, TIME, 1)).astype(np.float32)
            state, outputs, states = [tf.zeros((BATCH, UNITS))], [], []
            for t in range(TIME):
                output, state = cell.call((x[:, t], spans[:, t]), state)
                outputs.append(output.numpy())
                states.append(state[0].numpy())
            case = {name: value.numpy() for name, value in cell._params.items()}
            case |= {"kernel": cell.elastance_mapping.kernel.numpy(), "bias": cell.elastance_mapping.bias.numpy()}
            case |= {"x": x, "spans": spans, "outputs": np.stack(outputs, 1), "states": np.stack(states, 1)}
            kept |= {f"{elastance}/{solver}/{name}": value for name, value in case.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **kept)


if __name__ == "__main__":
    main(sys.argv[1])
