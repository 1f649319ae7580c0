"""The stub of the compiled module says what is there."""

import ast
import re
from pathlib import Path

import pytest

from liquidrnn import kernels


@pytest.mark.skipif(kernels.cpu is None, reason="the compiled module is not here")
def test_the_stub_has_every_function_with_as_many_arguments():
    tree = ast.parse((Path(kernels.__file__).parent / "_cpu.pyi").read_text())
    stub = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert set(stub) | {"interface"} == {name for name in vars(kernels.cpu) if not name.startswith("_")}
    for name, node in stub.items():
        if isinstance(node, ast.ClassDef):
            assert [part.name for part in node.body if isinstance(part, ast.FunctionDef)] == ["step"]
            continue
        said = getattr(kernels.cpu, name).__doc__.splitlines()[0]
        positional = len(set(re.findall(r"\barg\d+: ", said)))
        named = [arg.arg for arg in node.args.args if re.search(rf"\b{arg.arg}: ", said)]
        assert positional == len(node.args.posonlyargs), name
        assert len(named) == len(node.args.args), name
