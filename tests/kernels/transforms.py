"""What torch does with a layer that is compiled in C++."""

import torch


def check_compiled_graph(layer, x):
    """In a graph without breaks a layer has the same output and the same gradients."""
    expected = layer(x)[0]
    expected.square().sum().backward()
    gradients = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    output = fast(x)[0]
    torch.testing.assert_close(output, expected)
    output.square().sum().backward()
    for p, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def check_gradients_of_each(layer, x):
    """Functional gradients mapped over the parts of x, against those of one part after another."""
    parameters = dict(layer.named_parameters())

    def loss(parameters, part):
        return torch.func.functional_call(layer, parameters, (part,))[0].square().sum()

    each = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for n, part in enumerate(x):
        plain = torch.autograd.grad(loss(parameters, part), list(parameters.values()))
        for name, gradient in zip(parameters, plain, strict=True):
            torch.testing.assert_close(each[name][n], gradient)
