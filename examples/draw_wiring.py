"""Draws a neural circuit policy of 32 neurons: 16 inputs, 4 motor neurons.

python examples/draw_wiring.py wiring.png
"""

import sys

from liquidrnn.wirings import AutoNCP


def main(path: str = "wiring.png"):
    wiring = AutoNCP(32, outputs=4).build(input_size=16, seed=1)
    print(wiring)
    print(wiring.neuron_table())
    wiring.draw().figure.savefig(path, dpi=160)


if __name__ == "__main__":
    main(*sys.argv[1:])
