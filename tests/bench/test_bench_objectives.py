"""Objectives by name: what a study may say, and on which tasks each can take effect."""

from dataclasses import replace

import numpy as np
import pytest
from test_trainer import with_environments

from liquidbench import objectives
from liquidbench.objectives import OBJECTIVES, check, parse
from liquidbench.tasks.synthetic import parity_dense


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vrexx", "training.objective must be one of erm, irm, .* got 'vrexx'"),
        (5, "training.objective must be one of erm, irm, .* got 5"),
        ("erm=3", "training.objective: erm has no strength; got 'erm=3': leave out '=3'"),
        ("irm=", "the weight of the penalty must be a positive finite number; got 'irm=', where irm=10 is one"),
        ("group_dro=-1", "the step size of the weights must be a positive finite number"),
        ("mixup=inf", "the parameter of the beta distribution must be a positive finite number"),
        ("coral=many", "the weight of the penalty must be a positive finite number"),
    ],
)
def test_what_is_no_objective_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


def test_the_default_has_nothing_to_search():
    assert parse(objectives.DEFAULT) == (OBJECTIVES["erm"], None) and OBJECTIVES["erm"].searched is None
    assert all(one.strength and one.searched for name, one in OBJECTIVES.items() if name != "erm")


@pytest.fixture
def plain():
    # Of equal lengths and fully observed, so that sequences can be mixed.
    toy = replace(parity_dense(sizes=(22, 9, 9)), shortest_first=False)
    recordings = toy.recordings
    return replace(
        toy,
        recordings=lambda split: [
            replace(
                part, times=np.arange(3.0), values=np.ones((3, 1), dtype=np.float32), rows=part.first_row + np.arange(3)
            )
            for part in recordings(split)
        ],
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_task_with_environments_has_all(plain, name):
    check(name, with_environments(plain), 64)


@pytest.mark.parametrize("name", [name for name, one in OBJECTIVES.items() if one.environments])
def test_environments_are_needed(plain, name):
    with pytest.raises(ValueError, match=f"{name} on 'parity-dense' needs environments, and its recordings have none"):
        check(name, plain, 64)


def test_each_environment_needs_several_recordings(plain):
    numbers = (1, *[3] * 50)
    with pytest.raises(ValueError, match="at least 2 recordings of each environment; 1 has stream 0 alone"):
        check("group_dro", with_environments(plain, numbers), 64)


def test_a_batch_needs_several_environments(plain):
    with pytest.raises(ValueError, match="batches of at least 2 sequences of 2 environments; training.batch_size is 3"):
        check("vrex", with_environments(plain), 3)
    with pytest.raises(ValueError, match=r"coral on .* needs at least 2 environments in training; it has \[3\]"):
        check("coral", with_environments(plain, (3,)), 64)
    check("irm", with_environments(plain, (3,)), 3)


def test_a_curriculum_has_no_batches_from_all_environments(plain):
    with pytest.raises(ValueError, match="irm on .* training on this task begins with short sequences"):
        check("irm", replace(with_environments(plain), shortest_first=True), 64)


def test_sequences_of_different_lengths_are_not_mixed(plain):
    uneven = replace(parity_dense(sizes=(22, 9, 9)), shortest_first=False)
    with pytest.raises(ValueError, match="mixup on .* must be observed at the same steps"):
        check("mixup", uneven, 64)
    check("mixup", plain, 1)
