"""RAPTOR's published policy, in layers of this package, against what its authors' package says."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import liquidrnn as lr

theirs = pytest.importorskip("foundation_policy", reason="RAPTOR's weights: pip install 'liquidrnn[dynamics]'")
EXAMPLE = Path(__file__).parents[2] / "examples" / "raptor.py"


@pytest.fixture(scope="module")
def published():
    return runpy.run_path(str(EXAMPLE))["published"]()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_it_reproduces_the_published_test_sequences(published, backend):
    policy, observations, actions = published
    memory = lr.GRU(16, 16, backend=backend)
    memory.load_state_dict(policy.memory.state_dict())
    with torch.no_grad():
        hidden, _ = memory(policy.encoder(observations).relu())
        answers = policy.decoder(hidden)
    assert observations.shape == (500, 2, 22) and actions.abs().max() > 1
    torch.testing.assert_close(answers, actions, rtol=0, atol=1e-5)


def test_it_has_the_published_size(published):
    policy, _, _ = published
    # The file also holds the initial state, which is zero.
    assert sum(parameter.numel() for parameter in policy.parameters()) + 16 == 2084


def test_step_by_step_it_agrees_with_the_authors_package(published):
    policy, _, _ = published
    stream, raptor = lr.Stream(policy.memory, batch=3), theirs.Raptor()
    raptor.reset()
    random = np.random.default_rng(1)
    with torch.no_grad():
        for _ in range(50):
            observation = random.normal(size=(3, 22)).astype(np.float32)
            encoded = policy.encoder(torch.from_numpy(observation)).relu()
            action = policy.decoder(stream(encoded)).numpy()
            np.testing.assert_allclose(action, raptor.evaluate_step(observation), atol=1e-5)
