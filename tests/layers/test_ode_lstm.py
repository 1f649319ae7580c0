"""ODE-LSTM against the authors' cell."""

import pytest
import torch
from released import case, given

import liquidrnn as lr


@pytest.mark.parametrize("solver", ["euler", "heun", "rk4"])
def test_the_authors_cell(solver):
    """Theirs takes three steps per sample."""
    kept = case(f"ODE-LSTM {solver}")
    names = {"lstm.": "", "f_node.": "flow."}
    parameters = {
        new + name.removeprefix(old): kept[name] for name in kept for old, new in names.items() if name.startswith(old)
    }
    layer = given(lr.ODELSTM(3, 4, solver=solver, ode_unfolds=3, batch_first=True), **parameters)
    torch.testing.assert_close(layer(kept["x"], timespans=kept["spans"])[0], kept["outputs"], rtol=1e-10, atol=1e-12)


def test_the_memory_does_not_depend_on_the_span_of_its_sample():
    layer = lr.ODELSTM(3, 4, batch_first=True)
    x = torch.randn(2, 1, 3)
    (h_short, c_short), (h_long, c_long) = (layer(x, timespans=span)[1] for span in (0.1, 5.0))
    assert torch.equal(c_short, c_long) and not torch.allclose(h_short, h_long)


def test_over_no_time_it_is_an_lstm():
    layer = lr.ODELSTM(3, 4, batch_first=True, dtype=torch.float64)
    lstm = torch.nn.LSTM(3, 4, batch_first=True, dtype=torch.float64)
    own = layer.recurrences[0].named_parameters(recurse=False)
    lstm.load_state_dict({f"{name}_l0": value for name, value in own})
    x = torch.randn(2, 7, 3).double()
    torch.testing.assert_close(layer(x, timespans=0.0)[0], lstm(x)[0], rtol=1e-12, atol=1e-12)
