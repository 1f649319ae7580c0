"""What a network does not know: samples of its weights, for any `torch.nn.Module`.

All methods answer with several networks instead of one, along a new first axis of the outputs: members of an
:class:`Ensemble`, thinned networks of :func:`mc_dropout`, or draws of :class:`SWAG`. Their mean is the prediction, of
probabilities ``outputs.softmax(-1).mean(0)``, and where they differ, the data have not settled the answer.
:class:`LastLayerLaplace` has that mean in closed form. What these methods say of themselves need not be true: measure
it on data that were not trained on, with ``liquidbench.calibration`` and ``liquidbench.conformal``.
"""

from liquidrnn.uncertainty.dropout import mc_dropout as mc_dropout
from liquidrnn.uncertainty.ensemble import Ensemble as Ensemble
from liquidrnn.uncertainty.laplace import LastLayerLaplace as LastLayerLaplace
from liquidrnn.uncertainty.swag import SWAG as SWAG
