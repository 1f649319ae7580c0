"""Environments of sequences and of windows, and what remains when one is left out."""

import re
from dataclasses import replace

import numpy as np
import pytest
from test_trainer import with_environments

from liquidbench import tasks
from liquidbench.tasks import files, uci
from liquidbench.tasks.environments import check, left_out
from liquidbench.tasks.synthetic import parity_dense, parity_running
from liquidbench.tasks.task import SPLITS, Recording


def seasons(lengths=(20, 20, 20), window=4, stride=2, context=0, **changes):
    """A task with one long recording in each split, which goes through environments 0, 1, ... in turn."""
    length = sum(lengths)

    def recordings(split):
        first = 1000 * ("train", "validation", "test").index(split)
        steps = np.arange(length)
        return [
            Recording(
                name=f"series {split}",
                times=steps.astype(float),
                values=steps[:, None].astype(np.float32) % 7,
                targets=(steps % 2).astype(np.int64),
                first_row=first,
                environment=np.repeat(np.arange(len(lengths)), lengths),
            )
        ]

    about = {"window": window, "stride": stride, "context": context, "environment_of": "window", "folds": 1}
    return replace(parity_running(sizes=(5, 5, 5)), recordings=recordings, dealt=None, **about | changes)


def test_a_window_has_the_environment_of_the_middle_of_what_it_scores():
    train = seasons(window=6, stride=2, context=3).split("train")
    for rows, number in zip(train.rows, train.environments, strict=True):
        # Of six steps the last three are scored.
        scored = rows[rows >= 0][3:]
        assert number == scored[len(scored) // 2] // 20
    assert train.environments.shape == (len(train),)
    by_step = seasons(environment_of="step").split("train").environments
    assert by_step.shape == (len(by_step), 4)
    with pytest.raises(ValueError, match="environment_of must be 'step' without a window"):
        replace(parity_dense(sizes=(5, 5, 5)), environment_of="window")


def test_what_is_left_out_shares_no_row_with_the_others_and_is_complete():
    train = seasons().split("train")
    found = list(left_out(train))
    assert [number for number, _, _ in found] == [0, 1, 2]
    for number, others, own in found:
        assert (own.environments == number).all() and (others.environments != number).all()
        assert not np.intersect1d(own.rows, others.rows).size
        expected = [
            row.tolist()
            for row, environment in zip(train.rows, train.environments, strict=True)
            if environment != number and not set(row) & set(own.rows.flatten())
        ]
        assert others.rows.tolist() == expected
        assert len(own) == (train.environments == number).sum()
        assert others.recordings == ("series train",) * len(others)
    # Windows overlap: some are in neither part.
    assert len(found[1][1]) + len(found[1][2]) < len(train)
    apart = seasons(stride=4).split("train")
    assert all(len(others) + len(own) == len(apart) for _, others, own in left_out(apart))


def test_an_environment_of_recordings_is_left_out_whole():
    train = with_environments(parity_dense(sizes=(30, 5, 5))).split("train")
    for number, others, own in left_out(train):
        assert sorted([*others.recordings, *own.recordings]) == sorted(train.recordings)
        at = {name: place for place, name in enumerate(train.recordings)}
        for part in (others, own):
            places = [at[name] for name in part.recordings]
            np.testing.assert_array_equal(part.values, train.values[places])
            np.testing.assert_array_equal(part.targets, train.targets[places])
        assert number in (1, 3, 8)


def test_environments_that_cannot_be_left_out_are_refused():
    plain = parity_dense(sizes=(30, 5, 5))
    with pytest.raises(ValueError, match="environments on 'parity-dense' needs environments, and its recordings have"):
        check(plain, "erm")
    with pytest.raises(ValueError, match=r"2 environments in training, of which one is left out; it has \[3\]"):
        check(with_environments(plain, (3,)), "erm")
    with pytest.raises(ValueError, match="needs at least 2 recordings of each environment; 1 has stream 0 alone"):
        check(with_environments(plain, (1, *[3] * 50)), "erm")
    with pytest.raises(ValueError, match="objective vrex need at least 3 environments in training, of which one is"):
        check(with_environments(plain, (1, 2)), "vrex=1")
    check(with_environments(plain, (1, 2)), "irm=1")
    with pytest.raises(ValueError, match="an environment of each sequence, to leave it out; here each step has its"):
        check(seasons(environment_of="step"), "erm")


def test_of_a_series_windows_count():
    check(seasons(), "vrex=1")
    with pytest.raises(ValueError, match="2 recordings of each environment; 2 has one window of series train alone"):
        check(seasons((20, 20, 4), stride=4), "erm")


def test_windows_of_occupancy_are_of_days():
    members = files.read(uci.OCCUPANCY_EXCERPT, files.EXCERPTS)
    lines = [
        line
        for name in ("datatraining", "datatest", "datatest2")
        for line in members[f"{name}.txt"].decode().splitlines()[1:]
        if line
    ]
    days = [int(re.search(r"2015-02-(\d\d)", line)[1]) for line in lines]
    task = tasks.load("occupancy-excerpt")
    for split in SPLITS:
        part = task.split(split)
        middles = [rows[(rows >= 0).sum() // 2] for rows in part.rows]
        assert part.environments.tolist() == [days[row] for row in middles]
    # Test is on days of its own.
    assert not set(task.split("test").environments) - {2, 3, 4, *range(11, 19)}
    check(task, "vrex=1")
