"""Should I use a liquid network here? An experiment whose numbers can be believed.

Tasks, training, judging and reporting; ``liquidbench run STUDY.yaml`` is the way in (see
`liquidbench.commands`). `load` makes a network that a study has kept predict.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liquidbench.predictor import Predictor

__version__ = "0.1.0"


def load(folder: "str | os.PathLike[str]") -> "Predictor":
    """Load a network that a study has kept; see `liquidbench.predictor.load`.

    Example:
        >>> predictor = load("results/engines-heat/models/CfC")  # doctest: +SKIP
        >>> predictor.predict("new.csv")  # doctest: +SKIP
    """
    # Imported late: it needs torch, which most of the package does without.
    return importlib.import_module("liquidbench.predictor").load(folder)
