"""Samples of weights, against closed forms, scikit-learn, SciPy, torch, and the papers' equations in NumPy."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import BayesianRidge
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector

import liquidrnn as lr
from liquidrnn.uncertainty import SWAG, Ensemble, LastLayerLaplace, mc_dropout

LAYERS = (lr.LTC, lr.CfC, lr.STC, lr.LRC, lr.LRCU, lr.CTRNN, lr.ODERNN, lr.GRUD, lr.RNN, lr.LSTM, lr.GRU)


class Classifier(nn.Module):
    """A layer and a head that reads its last output."""

    def __init__(self, layer, outputs=2, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        arguments = {"time": "append"} if layer in (lr.RNN, lr.LSTM, lr.GRU) else {}
        self.layer = layer(3, 6, batch_first=True, generator=generator, **arguments)
        self.head = nn.Linear(6, outputs)

    def forward(self, x, timespans=1.0):
        return self.head(self.layer(x, timespans=timespans)[0][:, -1])


def by_member(ensemble, gradients):
    return [[gradient[m] for gradient in gradients] for m in range(len(ensemble))]


@pytest.mark.parametrize("vectorised", [True, False])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_an_ensemble_is_its_members_with_gradients(layer, vectorised):
    members = [Classifier(layer, seed=seed) for seed in range(3)]
    ensemble = Ensemble(members, vectorised=vectorised)
    x, spans = torch.randn(4, 7, 3), torch.rand(4, 7)
    outputs = ensemble(x, timespans=spans)
    alone = torch.stack([member(x, timespans=spans) for member in members])
    torch.testing.assert_close(outputs, alone)
    assert not torch.allclose(outputs[0], outputs[1])
    found = torch.autograd.grad(outputs.square().sum(), list(ensemble.parameters()))
    for member, gradients in zip(members, by_member(ensemble, found), strict=True):
        expected = torch.autograd.grad(member(x, timespans=spans).square().sum(), list(member.parameters()))
        torch.testing.assert_close(gradients, list(expected))


@pytest.mark.parametrize("layer", [lr.LTC, lr.CfC, lr.LRC, lr.GRU], ids=lambda layer: layer.__name__)
def test_members_run_on_the_compiled_kernels(layer):
    if lr.backends()["cpu"].startswith("cannot"):
        pytest.skip("the compiled module is not installed")
    # A layer whose named backend cannot run raises.
    ensemble = Ensemble(layer(3, 6, backend="cpu") for _ in range(2))
    output, h_n = ensemble(torch.randn(5, 2, 3))
    assert output.shape == (2, 5, 2, 6) and h_n.shape[0] == 2
    with pytest.raises(RuntimeError, match="outside forward-mode and torch.func"):
        torch.func.grad(lambda x: ensemble(x)[0].sum())(torch.randn(5, 2, 3))


def test_training_in_one_go_is_training_each_alone():
    members = [Classifier(lr.CfC, seed=seed) for seed in range(3)]
    ensemble = Ensemble(members)
    x, y = torch.randn(16, 5, 3), torch.randint(2, (16,))
    together = torch.optim.Adam(ensemble.parameters(), lr=0.01)
    for _ in range(5):
        together.zero_grad()
        sum(F.cross_entropy(outputs, y) for outputs in ensemble(x)).backward()
        together.step()
    for number, member in enumerate(members):
        alone = torch.optim.Adam(member.parameters(), lr=0.01)
        for _ in range(5):
            alone.zero_grad()
            F.cross_entropy(member(x), y).backward()
            alone.step()
        trained = ensemble.member(number)
        torch.testing.assert_close(trained(x), member(x), rtol=1e-4, atol=1e-5)
        assert trained.head.weight.requires_grad
    assert set(ensemble.state_dict()) == {f"stacked.{name}" for name in members[0].state_dict()}


def test_tied_weights_stay_tied_and_torchs_lstm_runs():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x))

    members, x = [Tied(), Tied()], torch.randn(4, 3)
    ensemble = Ensemble(members)
    assert len(list(ensemble.parameters())) == 3
    torch.testing.assert_close(ensemble(x), torch.stack([member(x) for member in members]))
    rnns = [nn.LSTM(3, 4) for _ in range(2)]
    torch.testing.assert_close(
        Ensemble(rnns, vectorised=False)(x.unsqueeze(1))[0], torch.stack([rnn(x.unsqueeze(1))[0] for rnn in rnns])
    )


def test_members_drop_out_differently():
    net = nn.Sequential(nn.Linear(100, 100), nn.Dropout(0.5))
    outputs = Ensemble([net, copy.deepcopy(net)])(torch.ones(1, 100))
    assert not torch.equal(outputs[0], outputs[1])


def test_ensembles_that_are_none_are_refused():
    with pytest.raises(ValueError, match="members must be at least two networks.*got 1"):
        Ensemble([nn.Linear(2, 2)])
    with pytest.raises(TypeError, match="modules of one class; member 0 is a Linear, member 1 a GRU"):
        Ensemble([nn.Linear(2, 2), nn.GRU(2, 2)])
    with pytest.raises(ValueError, match=r"'weight' is \(\(2, 2\).*\(\(2, 3\).* in member 1"):
        Ensemble([nn.Linear(2, 2), nn.Linear(3, 2)])
    with pytest.raises(ValueError, match="all be in training mode or all in evaluation mode"):
        Ensemble([nn.Linear(2, 2), nn.Linear(2, 2).eval()])
    with pytest.raises(ValueError, match="members must have parameters, to differ in, but Tanh has none"):
        Ensemble([nn.Tanh(), nn.Tanh()])
    with pytest.raises(IndexError, match="number must be 0 to 1, but got 2"):
        Ensemble([nn.Linear(2, 2), nn.Linear(2, 2)]).member(2)

    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() * self.factor > 0 else -x

    first, second = Branching(), Branching()
    for module in (first, second):
        module.register_buffer("factor", torch.ones(()))
    with pytest.raises(RuntimeError) as raised:
        Ensemble([first, second])(torch.ones(2))
    assert "vectorised=False" in raised.value.__notes__[0]
    assert Ensemble([first, second], vectorised=False)(torch.ones(2)).shape == (2, 2)


def test_mc_dropout_has_the_mean_and_variance_of_bernoulli_masks():
    model = nn.Sequential(nn.Dropout(0.25), nn.Linear(6, 1, bias=False)).eval()
    x, w = torch.randn(6), model[1].weight.detach()[0]
    outputs = mc_dropout(model, x.expand(20_000, 6), samples=2).flatten()
    # Each term is w x / 0.75 with probability 0.75, else 0.
    variance = float(((w * x) ** 2 * 0.25 / 0.75).sum())
    assert float(outputs.mean()) == pytest.approx(float(w @ x), abs=5 * (variance / 40_000) ** 0.5)
    assert float(outputs.var()) == pytest.approx(variance, rel=0.05)
    assert not outputs.requires_grad


@pytest.mark.parametrize("layer", [lr.LTC, lr.GRU, nn.GRU], ids=["LTC", "GRU", "torch's GRU"])
def test_mc_dropout_turns_on_that_of_layers_and_nothing_else(layer):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.layer = layer(3, 8, num_layers=2, dropout=0.5, batch_first=True)

        def forward(self, x):
            return self.layer(self.norm(x.mT).mT)[0]

    model, x = Model().eval(), torch.randn(4, 5, 3)
    before = copy.deepcopy(model.state_dict())
    outputs = mc_dropout(model, x, samples=3)
    assert outputs.shape == (3, 4, 5, 8) and not torch.allclose(outputs[0], outputs[1])
    assert not any(module.training for module in model.modules())
    torch.testing.assert_close(model.state_dict(), before, msg="batch normalisation must not learn from predictions")


def test_models_without_dropout_are_refused():
    for model in (nn.Linear(2, 2), nn.Dropout(0.0), lr.GRU(2, 2)):
        with pytest.raises(ValueError, match="model must have dropout with a probability above 0"):
            mc_dropout(model, torch.ones(1, 2))
    with pytest.raises(ValueError, match="samples must be at least 2"):
        mc_dropout(nn.Dropout(0.5), torch.ones(1, 2), samples=1)
    with pytest.raises(TypeError, match="model must return a tensor, but it returned tuple"):
        mc_dropout(nn.GRU(2, 2, 2, dropout=0.5), torch.ones(1, 1, 2))


def regression(samples=40, features=5, seed=0):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(samples, features))
    return x, x @ draw.normal(size=features) + 0.3 * draw.normal(size=samples)


def linear(weights, bias=False):
    model = nn.Linear(len(weights), 1, bias=bias, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(weights)[None])
    return model


def test_laplace_of_a_linear_model_is_the_exact_posterior():
    x, y = regression()
    delta, noise = 2.0, 0.2
    covariance = np.linalg.inv(x.T @ x / noise + delta * np.eye(5))
    model = linear(covariance @ x.T @ y / noise)
    data = torch.from_numpy(x), torch.from_numpy(y)[:, None]
    batches = [(data[0][rows], data[1][rows]) for rows in (slice(0, 15), slice(15, 40))]
    laplace = LastLayerLaplace(model, batches, "values", prior_precision=delta, noise_variance=noise)
    new = np.random.default_rng(1).normal(size=(7, 5))
    mean, found = laplace.outputs(torch.from_numpy(new))
    np.testing.assert_allclose(found[:, 0, 0], np.einsum("ni,ij,nj->n", new, covariance, new), rtol=1e-10)
    np.testing.assert_allclose(mean[:, 0].detach(), new @ covariance @ x.T @ y / noise, rtol=1e-10)
    predicted = laplace.predict(torch.from_numpy(new))
    np.testing.assert_allclose(predicted.variance[:, 0], found[:, 0, 0] + noise, rtol=1e-12)
    evidence = stats.multivariate_normal(cov=noise * np.eye(40) + x @ x.T / delta).logpdf(y)
    assert laplace.log_marginal_likelihood == pytest.approx(evidence, rel=1e-10)


def test_the_marginal_likelihood_chooses_as_scikit_learn_does():
    x, y = regression(seed=3)
    ridge = BayesianRidge(
        max_iter=10_000, tol=1e-12, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, fit_intercept=False
    ).fit(x, y)
    laplace = LastLayerLaplace(linear(ridge.coef_), [(torch.from_numpy(x), torch.from_numpy(y)[:, None])], "values")
    assert laplace.prior_precision == pytest.approx(ridge.lambda_, rel=1e-5)
    assert laplace.noise_variance == pytest.approx(1 / ridge.alpha_, rel=1e-5)
    _, deviation = ridge.predict(x, return_std=True)
    np.testing.assert_allclose(laplace.predict(torch.from_numpy(x)).stddev[:, 0], deviation, rtol=1e-5)


def test_laplace_of_a_classifier_has_the_hessian_of_autograd():
    model = Classifier(lr.CfC, outputs=3)
    x, y = torch.randn(12, 5, 3), torch.randint(3, (12,))
    laplace = LastLayerLaplace(model, [(x, y)], "classes", prior_precision=0.7)
    features = model.layer(x)[0][:, -1].detach().double()
    features = torch.cat([features, torch.ones(12, 1)], 1)

    def loss(weights):
        return F.cross_entropy(features @ weights.reshape(3, 7).T, y, reduction="sum")

    weights = torch.cat([model.head.weight, model.head.bias[:, None]], 1).detach().double().flatten()
    hessian = torch.autograd.functional.hessian(loss, weights) + 0.7 * torch.eye(21)
    new = torch.randn(4, 5, 3)
    mean, covariance = laplace.outputs(new)
    ahead = torch.cat([model.layer(new)[0][:, -1].detach().double(), torch.ones(4, 1)], 1)
    jacobian = torch.einsum("ck,ni->ncki", torch.eye(3, dtype=torch.float64), ahead).reshape(4, 3, 21)
    expected = jacobian @ torch.linalg.inv(hessian) @ jacobian.mT
    torch.testing.assert_close(covariance.double(), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(mean, model(new).detach())
    evidence = -loss(weights) - 0.35 * weights @ weights + 10.5 * np.log(0.7) - torch.logdet(hessian) / 2
    assert laplace.log_marginal_likelihood == pytest.approx(float(evidence), rel=1e-5)
    shares = torch.softmax(mean / (1 + torch.pi / 8 * expected.diagonal(dim1=1, dim2=2)).sqrt(), -1)
    torch.testing.assert_close(laplace.predict(new).probs, shares.float(), rtol=1e-4, atol=1e-6)
    # Found without a given precision, a maximum.
    best = LastLayerLaplace(model, [(x, y)], "classes")
    beside = (best.prior_precision * factor for factor in (0.9, 1.1))
    for other in beside:
        beaten = LastLayerLaplace(model, [(x, y)], "classes", prior_precision=other).log_marginal_likelihood
        assert beaten < best.log_marginal_likelihood


def test_laplace_finds_the_last_layer_or_says_that_it_is_another():
    class Crossed(torch.nn.Module):
        """Its last linear module by registration is its first by use."""

        def __init__(self, end=None):
            super().__init__()
            self.head, self.body, self.end = torch.nn.Linear(4, 4), torch.nn.Linear(3, 4), end

        def forward(self, x):
            y = self.head(torch.tanh(self.body(x)))
            return y if self.end is None else self.end(y)

    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    data, model = [(x, torch.arange(40) % 4)], Crossed()
    with pytest.raises(ValueError, match="does not move with the output of 'body': name the last layer with head="):
        LastLayerLaplace(model, data, "classes")
    assert LastLayerLaplace(model, data, "classes", head=model.head).head is model.head
    ended = Crossed(torch.nn.Softmax(-1))
    with pytest.raises(ValueError, match="leave out what follows it, such as a softmax"):
        LastLayerLaplace(ended, data, "classes", head=ended.head)


def test_laplace_is_surer_where_there_were_data_and_takes_each_step_of_a_sequence():
    model = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 2))
    x = torch.randn(10, 30, 2)
    laplace = LastLayerLaplace(model, [(x, x.flip(-1))], "values")
    near, far = laplace.predict(0.1 * x).stddev, laplace.predict(50 * x).stddev
    assert near.shape == x.shape and float(far.mean()) > float(near.mean())
    assert model.training


def test_laplace_refuses_what_it_cannot_use():
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    model = nn.Linear(3, 1)
    for arguments, words in (
        (([(x, y)], "class"), "likelihood must be 'classes' or 'values'"),
        (([], "values"), "batches must have data"),
        (([(x, y[:, 0])], "values"), r"targets must be values of shape \(8, 1\)"),
        (([(x, y)], "classes"), r"targets must be classes of shape \(8,\)"),
        (([(x, model(x).detach())], "values"), "network reproduces its targets"),
    ):
        with pytest.raises(ValueError, match=words):
            LastLayerLaplace(model, *arguments)
    with pytest.raises(ValueError, match="noise_variance must be given: 2 targets are too few"):
        LastLayerLaplace(model, [(x[:2], y[:2])], "values", prior_precision=1e-12)
    with pytest.raises(ValueError, match="prior_precision must be a positive number, but got 0"):
        LastLayerLaplace(model, [(x, y)], "values", prior_precision=0)
    with pytest.raises(ValueError, match="noise_variance must be left out for classes"):
        LastLayerLaplace(model, [(x, y)], "classes", noise_variance=1.0)
    with pytest.raises(TypeError, match="must end in a torch.nn.Linear"):
        LastLayerLaplace(nn.Tanh(), [(x, x)], "values")
    with pytest.raises(TypeError, match="head must be a torch.nn.Linear of the model"):
        LastLayerLaplace(model, [(x, y)], "values", head=nn.Linear(3, 1))
    wrong = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))
    with pytest.raises(ValueError, match="name the last layer with head="):
        LastLayerLaplace(wrong, [(x, y)], "values", head=wrong[0])


def test_swag_is_that_of_the_paper():
    model = nn.Linear(2, 2)
    swag, steps = SWAG(model, rank=3), torch.randn(8, 6) + 100
    mean, squares, columns = np.zeros(6), np.zeros(6), []
    averaged = torch.optim.swa_utils.AveragedModel(model)
    for number, weights in enumerate(steps):
        nn.utils.vector_to_parameters(weights, model.parameters())
        swag.collect()
        averaged.update_parameters(model)
        row = weights.double().numpy()
        mean = (number * mean + row) / (number + 1)
        squares = (number * squares + row**2) / (number + 1)
        columns.append(row - mean)
    np.testing.assert_allclose(swag.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(swag.mean, parameters_to_vector(averaged.module.parameters()).detach(), rtol=1e-6)
    np.testing.assert_allclose(swag.variance, squares - mean**2, rtol=1e-4)
    deviations = np.stack(columns[-3:], 1)
    covariance = (np.diag(squares - mean**2) + deviations @ deviations.T / 2) / 2
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([parameters_to_vector(swag.sample(generator).parameters()) for _ in range(1500)]).detach()
    found = np.cov(drawn.double().numpy().T)
    assert np.abs(found - covariance).max() < 0.15 * covariance.diagonal().max()
    still = parameters_to_vector(swag.sample(scale=0.0).parameters())
    torch.testing.assert_close(still.detach(), swag.mean)
    torch.testing.assert_close(parameters_to_vector(model.parameters()).detach(), steps[-1], msg="it is not changed")


def test_swag_predicts_with_our_layers_and_refuses_to_draw_from_nothing():
    model = Classifier(lr.LTC)
    swag = SWAG(model, rank=2)
    with pytest.raises(ValueError, match="collected at least twice before sampling, but were 0"):
        swag.sample()
    for _ in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        swag.collect()
    outputs = swag.predict(torch.randn(4, 5, 3), samples=6, generator=torch.Generator().manual_seed(0))
    assert outputs.shape == (6, 4, 2) and bool(outputs.isfinite().all()) and float(outputs.std(0).min()) > 0
    with pytest.raises(ValueError, match="rank must be at least 2"):
        SWAG(model, rank=1)
    with pytest.raises(ValueError, match="model must have parameters, but Tanh has none"):
        SWAG(nn.Tanh())
    with pytest.raises(ValueError, match="scale must be a number of at least 0"):
        swag.sample(scale=-1.0)


class Declared(nn.Module):
    """Says that it has dropout, and applies none."""

    def __init__(self):
        super().__init__()
        self.dropout, self.head = 0.5, nn.Linear(3, 2)

    def forward(self, x):
        return self.head(x)


class OneLayer(nn.Module):
    def __init__(self):
        super().__init__()
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
            self.layer = nn.LSTM(3, 4, dropout=0.5)

    def forward(self, x):
        return self.layer(x)[0]


@pytest.mark.parametrize("model", [Declared, OneLayer])
def test_dropout_without_effect_is_refused(model):
    with pytest.raises(ValueError, match="all samples are equal"):
        mc_dropout(model(), torch.randn(5, 3), samples=4)


def test_samples_of_swag_keep_each_parameters_type():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, dtype=torch.float64))
    swag = SWAG(model)
    for _ in range(3):
        swag.collect()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
    drawn = swag.sample()
    assert [p.dtype for p in drawn.parameters()] == [p.dtype for p in model.parameters()]
    assert all(bool((p != q).any()) for p, q in zip(drawn.parameters(), model.parameters(), strict=True))


def test_members_of_another_configuration_are_refused():
    with pytest.raises(ValueError, match="members must have the same configuration"):
        Ensemble([lr.CfC(3, 4, mode="default"), lr.CfC(3, 4, mode="no_gate")])
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="members must be different modules"):
        Ensemble([model, model])


@pytest.mark.parametrize(
    ("targets", "likelihood", "error", "message"),
    [
        (torch.tensor([0.0, 1.0]), "classes", TypeError, "targets must be class numbers"),
        (torch.tensor([0, -100]), "classes", ValueError, "targets must be classes from 0 to 1, but are from -100"),
        (torch.tensor([[0.0, 1.0], [torch.nan, 1.0]]), "values", ValueError, "targets must be finite"),
    ],
)
def test_targets_that_laplace_cannot_read_are_refused(targets, likelihood, error, message):
    with pytest.raises(error, match=message):
        LastLayerLaplace(nn.Linear(3, 2), [(torch.randn(2, 3), targets)], likelihood)
    with pytest.raises(ValueError, match="outputs are finite"):
        known = torch.tensor([0, 1]) if likelihood == "classes" else torch.zeros(2, 2)
        LastLayerLaplace(nn.Linear(3, 2), [(torch.full((2, 3), torch.nan), known)], likelihood)
