"""Graphs of torch.export and torch.compile: for any batch and any length, from few compilations."""

import warnings

import pytest
import torch
from torch.export import Dim, export

import liquidrnn as lr

INPUT = 3
NCP = lr.wirings.AutoNCP(9, outputs=2)
COMPILED = {
    "LTC": lambda **options: lr.LTC(INPUT, 6, **options),
    "wired LTC": lambda **options: lr.LTC(INPUT, NCP, **options),
    "STC": lambda **options: lr.STC(INPUT, 6, **options),
    "LRC": lambda **options: lr.LRC(INPUT, NCP, **options),
    "LRCU": lambda **options: lr.LRCU(INPUT, 6, **options),
    "CfC": lambda **options: lr.CfC(INPUT, 6, backbone_units=8, **options),
    "pure CfC": lambda **options: lr.CfC(INPUT, 6, mode="pure", **options),
    "wired CfC": lambda **options: lr.CfC(INPUT, NCP, mixed_memory=True, **options),
    "CTRNN": lambda **options: lr.CTRNN(INPUT, 5, **options),
    "GRU": lambda **options: lr.GRU(INPUT, 5, time="decay", **options),
    "GRU-D": lambda **options: lr.GRUD(INPUT, 5, **options),
}
IN_LOOPS = {
    "mixed LTC": lambda **options: lr.LTC(INPUT, 5, mixed_memory=True, **options),
    "mixed LRC": lambda **options: lr.LRC(INPUT, 5, mixed_memory=True, **options),
    "ODE-RNN": lambda **options: lr.ODERNN(INPUT, 5, **options),
    "CT-GRU": lambda **options: lr.CTGRU(INPUT, 5, scales=3, **options),
    "minGRU": lambda **options: lr.MinGRU(INPUT, 5, time="append", **options),
}
OF_TORCH = {
    "LSTM": lambda **options: lr.LSTM(INPUT, 5, time="append", **{"backend": "reference"} | options),
}


class Whole(torch.nn.Module):
    """A layer with all its arguments in their order, as export wants them."""

    def __init__(self, layer, masked=True):
        super().__init__()
        self.layer, self.masked = layer, masked

    def forward(self, x, timespans, mask):
        return self.layer(x, timespans=timespans, mask=mask if self.masked else None)


def samples(batch, time):
    lead = (time,) if batch is None else (batch, time)
    return torch.randn(*lead, INPUT), torch.rand(lead), torch.rand(*lead, INPUT) > 0.3


def exported(module, *sizes, dynamic):
    with warnings.catch_warnings():
        # Of torch about itself: LSTM assigns to itself, scan looks at gradients and imports what is deprecated.
        warnings.simplefilter("ignore")
        return export(module.eval(), samples(*sizes), dynamic_shapes=(dynamic,) * 3)


def agree(graph, module, *sizes):
    given = samples(*sizes)
    for got, expected in zip(graph(*given), module(*given), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


BATCH, TIME = Dim("batch", min=1), Dim("time", min=1)


STACKED = {"bidirectional": True, "num_layers": 2, "output_size": 2}


@pytest.mark.sampled(3)
# Of each operator one or two: others differ in settings. Stacking is above the operators, and the same for all.
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *(
            pytest.param(kind, {}, marks=[pytest.mark.slow] * (kind in ("wired LTC", "STC", "pure CfC", "GRU")))
            for kind in COMPILED
        ),
        *(
            pytest.param(kind, STACKED, marks=[pytest.mark.slow] * (kind not in ("wired LTC", "GRU")))
            for kind in COMPILED
        ),
    ],
    ids=str,
)
def test_an_exported_graph_reads_any_batch_and_any_length(kind, options):
    module = Whole(COMPILED[kind](batch_first=True, **options), masked=not options)
    program = exported(module, 3, 7, dynamic={0: BATCH, 1: TIME})
    assert "liquidrnn." in program.graph_module.print_readable(print_output=False), "it calls the kernel"
    graph = program.module()
    for batch, time in ((3, 7), (2, 1), (1, 1), (1, 5), (40, 90)):
        agree(graph, module, batch, time)


@pytest.mark.parametrize("kind", ["LTC", "CfC"])
def test_an_exported_graph_reads_more_than_is_kept_for_the_backward_pass(kind):
    module = Whole(COMPILED[kind](batch_first=True), masked=False)
    graph = exported(module, 3, 7, dynamic={0: BATCH, 1: TIME}).module()
    with torch.no_grad():
        agree(graph, module, 256, 3000)


def test_an_exported_graph_without_a_batch_reads_any_length():
    module = Whole(COMPILED["LRC"]())
    graph = exported(module, None, 7, dynamic={0: TIME}).module()
    for time in (1, 2, 30):
        agree(graph, module, None, time)


@pytest.mark.slow
@pytest.mark.parametrize("kind", IN_LOOPS)
def test_layers_without_a_kernel_are_exported_for_any_length(kind):
    module = Whole(IN_LOOPS[kind](batch_first=True))
    graph = exported(module, 3, 4, dynamic={0: BATCH, 1: TIME}).module()
    for batch, time in ((3, 4), (2, 1), (1, 9)):
        agree(graph, module, batch, time)


@pytest.mark.skipif(torch.__version__ < "2.13", reason="older versions of torch export no LSTM in a loop")
@pytest.mark.parametrize("kind", OF_TORCH)
def test_networks_of_torch_are_exported_for_any_batch(kind):
    module = Whole(OF_TORCH[kind](batch_first=True))
    graph = exported(module, 3, 4, dynamic={0: BATCH}).module()
    for batch in (1, 2, 9):
        agree(graph, module, batch, 4)


def test_an_exported_graph_can_be_saved_and_trained(tmp_path):
    module = Whole(COMPILED["wired CfC"](batch_first=True))
    program = exported(module, 3, 7, dynamic={0: BATCH, 1: TIME})
    torch.export.save(program, tmp_path / "layer.pt2")
    graph, given = torch.export.load(tmp_path / "layer.pt2").module(), samples(4, 5)
    graph(*given)[0].sum().backward()
    module(*given)[0].sum().backward()
    theirs = {name.replace("_", "").replace(".", ""): p.grad for name, p in graph.named_parameters()}
    compared = 0
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(theirs[name.replace("_", "").replace(".", "")], parameter.grad)
        compared += 1
    assert compared == len(theirs)


@pytest.mark.parametrize("kind, dynamic", [pytest.param("LTC", True, marks=pytest.mark.slow), ("CfC", None)])
def test_sizes_that_change_compile_few_graphs(kind, dynamic):
    """One for the first sizes, one for all others, one for a batch of one, and one for a single sample."""
    from torch._dynamo.testing import CompileCounterWithBackend  # which brings much that no other test needs

    torch._dynamo.reset()
    layer, counter = COMPILED[kind](batch_first=True), CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, backend=counter, dynamic=dynamic, fullgraph=True)
    for batch, time in ((3, 7), (5, 9), (4, 1), (1, 6), (2, 2), (64, 90)):
        x, spans = torch.randn(batch, time, INPUT, requires_grad=True), torch.rand(batch, time)
        gradients = []
        for run in (compiled, layer):
            output, _ = run(x, timespans=spans)
            gradients.append(torch.autograd.grad(output.sum(), (x, *layer.parameters())))
        for got, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item() + 1e-6)
    assert counter.frame_count <= 4


@pytest.mark.slow
def test_ahead_of_time_compilation_reads_any_batch_and_any_length(tmp_path):
    module = Whole(COMPILED["CfC"](batch_first=True))
    program = exported(module, 3, 7, dynamic={0: BATCH, 1: TIME})
    with warnings.catch_warnings():
        # Of torch about itself.
        warnings.simplefilter("ignore")
        path = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "layer.pt2"))
        runner = torch._inductor.aoti_load_package(path)
        for batch, time in ((3, 7), (2, 1), (1, 1), (300, 200)):
            agree(runner, module, batch, time)


@pytest.mark.parametrize("kind", ["CfC", "STC", "wired LTC", "wired CfC", "CTRNN", "ODE-RNN", "LSTM"])
def test_onnx_runtime_computes_the_same(kind, tmp_path):
    """Nobody has to choose a backend: an export for ONNX takes the reference."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    module = Whole({**COMPILED, **IN_LOOPS, **OF_TORCH}[kind](batch_first=True)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, samples(3, 2), dynamo=True, dynamic_shapes=({0: "batch"},) * 3, verbose=False, optimize=False
        )
    program.save(tmp_path / "layer.onnx")
    session = runtime.InferenceSession(tmp_path / "layer.onnx")
    for batch in (3, 1, 8):
        given = samples(batch, 2)
        found = session.run(None, dict(zip(("x", "timespans", "mask"), (t.numpy() for t in given), strict=True)))
        torch.testing.assert_close(torch.from_numpy(found[0]), module(*given)[0].detach(), rtol=1e-4, atol=1e-5)


def test_an_export_for_onnx_takes_the_reference(monkeypatch):
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    module = Whole(COMPILED["CfC"](batch_first=True))
    names = {str(node.target) for node in exported(module, 3, 2, dynamic={0: BATCH}).graph.nodes}
    assert not any("liquidrnn" in name for name in names) and len(names) > 5
    with pytest.raises(RuntimeError, match=r"outside .* torch.onnx.export"):
        exported(Whole(lr.CfC(INPUT, 6, backend="cpu", batch_first=True)), 3, 2, dynamic={0: BATCH})
