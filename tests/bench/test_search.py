"""The search: the same draws for every model, kept in a journal that a kill cannot harm."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from liquidbench import search
from liquidbench.models import MODELS, READOUTS, find
from liquidbench.search import SHARED, Settings, Space, Trial, draw_settings, run_search
from liquidbench.study import RESULTS_FORMAT, Robustness, Run, Search, Training
from liquidbench.system import storage

ONE = Space([{"num_layers": 1}, {"num_layers": 2}])


def a_run(trials=4, **changes) -> Run:
    made = Run(
        kind="fit",
        task="toy",
        model="GRU",
        variant="matched",
        seed=1,
        fold=0,
        matching="parameters",
        parameters=4000,
        training=Training(steps=80),
        search=Search(trials=trials),
        tuned=(1, 0),
        robustness=Robustness(),
    )
    return replace(made, **changes)


def scored(number, settings, halt):
    """A score that is as good as the rate is near 0.01."""
    return -abs(settings.learning_rate - 0.01), {"number": number}


def test_every_model_has_few_structures_and_the_first_is_its_own():
    assert {len(spec.combinations) for spec in MODELS.values()} <= {3, 4}
    for spec in MODELS.values():
        assert spec.combinations[0] == {name: values[0] for name, values in spec.structures.items()}
    with pytest.raises(ValueError, match="model must be one of LTC, .*; got 'LSMT'"):
        find("LSMT")


def test_all_models_draw_alike_and_tasks_seeds_splits_and_trials_do_not():
    def drawn(number=0, **changes):
        run = a_run(**changes)
        return replace(draw_settings(run, number, Space(MODELS[run.model].combinations, READOUTS)), structure={})

    assert len({drawn(model=model).to_json() for model in MODELS}) == 1
    others = [drawn(1), drawn(tuned=(2, 0)), drawn(tuned=(1, 1)), drawn(task="other")]
    assert len({one.to_json() for one in [drawn(), *others]}) == 5


def test_draws_fill_their_ranges():
    drawn = [draw_settings(a_run(), number, ONE) for number in range(200)]
    for name, distribution in SHARED.items():
        values = [getattr(one, name) for one in drawn]
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            assert min(Counter(values).values()) > 60 and set(values) == set(distribution.choices)
        else:
            middle = (distribution.low * distribution.high) ** 0.5
            assert distribution.low <= min(values) and max(values) <= distribution.high
            assert 70 < sum(value < middle for value in values) < 130, "even on a scale of ratios"
    assert 70 < sum(one.structure == ONE.structures[0] for one in drawn) < 130


def test_settings_go_through_json():
    settings = draw_settings(a_run(), 0, ONE)
    assert Settings(**json.loads(settings.to_json())) == settings


def test_a_search_can_be_read_and_continued(tmp_path):
    journal = tmp_path / "s.journal"
    made = run_search(a_run(4), ONE, scored, journal)
    assert [trial.number for trial in made] == [0, 1, 2, 3] == [trial.record["number"] for trial in made]
    in_memory = run_search(a_run(4), ONE, scored)
    assert in_memory == made == search.read_trials(journal, ONE)

    def never(number, settings, halt):
        raise AssertionError("all trials are there")

    assert run_search(a_run(4), ONE, never, journal) == made
    assert run_search(a_run(2), ONE, never, journal) == made[:2]
    more = run_search(a_run(6), ONE, scored, journal)
    assert more[:4] == made and more == run_search(a_run(6), ONE, scored)
    assert search.best_trial(more, True) == max(more, key=lambda trial: trial.score)
    assert search.best_trial(more, False) == min(more, key=lambda trial: trial.score)
    # It is Optuna's own: its tools read it.
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    (summary,) = optuna.get_all_study_summaries(storage)
    assert summary.n_trials == 6


def halving(number, settings, halt):
    """Scores that are the same at all rungs: as good as the rate is near 0.01."""
    score, record = scored(number, settings, halt)
    stopped = next((eighths for eighths in search.RUNGS if halt(eighths, score)), None)
    return score, record | {"stopped": stopped}


def test_a_trial_continues_while_it_is_in_the_better_half():
    made = run_search(a_run(16), ONE, halving)
    for place, trial in enumerate(made):
        # Those up to it that came to the first rung are all: it is in their better half, or it ends there.
        better = sum(other.score > trial.score for other in made[: place + 1])
        assert (trial.record["stopped"] == search.RUNGS[0]) == (better >= max((place + 1) // 2, 1)), place
        assert trial.pruned == (trial.record["stopped"] is not None)
    assert 0 < sum(trial.pruned for trial in made) < 16
    best = search.best_trial(made, True)
    assert not best.pruned and best.score == max(trial.score for trial in made)


def test_a_continued_search_stops_the_same_trials(tmp_path):
    whole = run_search(a_run(9), ONE, halving)
    for trials in (1, 4, 9):
        found = run_search(a_run(trials), ONE, halving, tmp_path / "s.journal")
        assert found == whole[:trials]
    # Lower is better: the others are stopped.
    upside_down = run_search(a_run(9), replace(ONE, higher_is_better=False), halving)
    assert [trial.pruned for trial in upside_down] != [trial.pruned for trial in whole]


def test_failed_trials_count():
    made = run_search(a_run(2), ONE, lambda number, settings, halt: (None if number == 0 else 1.0, {}))
    assert [trial.score for trial in made] == [None, 1.0]
    assert search.best_trial(made, True) == made[1] and search.best_trial(made[:1], True) is None


def raced(number, settings, halt):
    """A trial that is as good as the rate is near 0.01, and better with every eighth of its steps."""
    best = -abs(settings.learning_rate - 0.01)
    for eighths in search.RUNGS:
        if halt(eighths, best + eighths / 1000):
            return best + eighths / 1000, {"eighths": eighths}
    return best + 0.008, {"eighths": 8}


def test_a_trial_continues_in_the_better_half_of_earlier_trials(tmp_path):
    made = run_search(a_run(12), ONE, raced, tmp_path / "s.journal")
    # By hand: at each rung, what it and the trials before it had there.
    there = {rung: [] for rung in search.RUNGS}
    for trial in made:
        best, expected = -abs(trial.settings.learning_rate - 0.01), 8
        for rung in search.RUNGS:
            there[rung].append(best)
            if best < sorted(there[rung], reverse=True)[max(len(there[rung]) // 2, 1) - 1]:
                expected = rung
                break
        assert (trial.record["eighths"], trial.pruned) == (expected, expected < 8)
    assert {trial.record["eighths"] for trial in made} >= {1, 8}
    assert search.best_trial(made, True).settings.learning_rate == min(
        (trial.settings.learning_rate for trial in made), key=lambda rate: abs(rate - 0.01)
    )


def test_stopped_anywhere_a_search_stops_the_same_trials(tmp_path):
    whole = run_search(a_run(8), ONE, raced)
    for trials in range(1, 8):
        journal = tmp_path / f"{trials}.journal"

        def killed(number, settings, halt, trials=trials):
            if number == trials:
                halt(search.RUNGS[0], 1.0)
                raise KeyboardInterrupt
            return raced(number, settings, halt)

        with pytest.raises(KeyboardInterrupt):
            run_search(a_run(8), ONE, killed, journal)
        assert run_search(a_run(8), ONE, raced, journal) == whole == search.read_trials(journal, ONE)
    assert run_search(a_run(8), replace(ONE, higher_is_better=False), raced) != whole


def test_complete_trials_are_chosen_before_pruned_ones():
    trials = [Trial(0, Settings(0.1), 0.5, {}), Trial(1, Settings(0.1), 0.9, {}, pruned=True)]
    assert search.best_trial(trials, True) == trials[0] and search.best_trial(trials[1:], True) == trials[1]


def test_a_journal_cut_anywhere_loses_its_last_trial_at_most(tmp_path):
    whole = tmp_path / "s.journal"
    made = run_search(a_run(3), ONE, scored, whole)
    content = whole.read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord(b"\n")]
    for cut in [0, 1, ends[0], ends[0] + 1, *range(ends[1] + 1, len(content), 97), len(content) - 1]:
        part = tmp_path / f"{cut}" / "s.journal"
        part.parent.mkdir()
        part.write_bytes(content[:cut])
        # A process that dies while it writes holds Optuna's lock too.
        os.symlink(part, f"{part}.lock")
        tried = []

        def remembering(number, settings, halt, tried=tried):
            tried.append(number)
            return scored(number, settings, halt)

        again = run_search(a_run(3), ONE, remembering, part)
        assert again == made
        complete = sum(b'"op_code":4' in line for line in content[:cut].split(b"\n")[:-1])
        assert tried == list(range(complete, 3))


def test_the_journal_with_more_trials_is_kept(tmp_path):
    here, there = tmp_path / "here" / "s.journal", tmp_path / "there" / "s.journal"
    run_search(a_run(3), ONE, scored, there)
    search.import_journal(here, there.read_bytes())
    assert search.read_trials(here, ONE) == search.read_trials(there, ONE)
    # Gone on with at both places: fewer trials there leave what is here, more take its place.
    more = run_search(a_run(5), ONE, scored, here)
    search.import_journal(here, there.read_bytes())
    assert search.read_trials(here, ONE) == more
    more = run_search(a_run(6), ONE, scored, there)
    search.import_journal(here, there.read_bytes()[:-1])
    # Half a line is no trial.
    assert search.read_trials(here, ONE) == more[:5]
    search.import_journal(here, there.read_bytes())
    assert search.read_trials(here, ONE) == more
    with storage.file_lock(here.with_suffix(".lock")):
        search.import_journal(here, b"")
    assert search.read_trials(here, ONE) == more


KILLED = """
import sys, time
sys.path.insert(0, {here!r})
from test_search import *
def slowly(number, settings, halt):
    print(number, flush=True)
    time.sleep(0.05)
    return scored(number, settings, halt)
run_search(a_run(40), ONE, slowly, Path({journal!r}))
"""


def test_a_killed_search_loses_the_trial_in_flight(tmp_path):
    journal = tmp_path / "s.journal"
    begun = 0
    for kills in range(3):
        program = KILLED.format(here=str(Path(__file__).parent), journal=str(journal))
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            # Nothing that was begun before the one in flight is tried again.
            assert begun - 1 <= first <= begun
            for _ in range(kills):
                process.stdout.readline()
            time.sleep(0.013 * kills)
            process.send_signal(signal.SIGKILL)
            begun = first + 1 + kills + len(process.stdout.read().split())
    assert run_search(a_run(40), ONE, scored, journal) == run_search(a_run(40), ONE, scored)


def _search_slowly(journal, tried):
    def slowly(number, settings, halt):
        tried.append(number)
        time.sleep(0.02)
        return scored(number, settings, halt)

    run_search(a_run(5), ONE, slowly, journal)


def test_two_processes_search_only_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        tried = manager.list()
        both = [context.Process(target=_search_slowly, args=(tmp_path / "s.journal", tried)) for _ in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join()
            assert process.exitcode == 0
        assert list(tried) == [0, 1, 2, 3, 4]


SPACE = {
    "shared": "4b2d1f6f",
    "LTC": "c592b81f",
    "LTC-NCP": "8b9deb59",
    "CfC": "9d91b782",
    "CfC-NCP": "811f57cb",
    "CfC-mm": "9d91b782",
    "STC": "2283a5eb",
    "LRC": "eaec7c63",
    "LRCU": "eaec7c63",
    "CTRNN": "c467edae",
    "ODE-RNN": "ce8d0205",
    "ODE-LSTM": "c467edae",
    "GRU-ODE": "57991bc0",
    "CT-GRU": "2cb23bd0",
    "CT-LSTM": "be28bdf5",
    "coRNN": "35541bac",
    "RNN": "be28bdf5",
    "RNN-decay": "be28bdf5",
    "LSTM": "be28bdf5",
    "PhasedLSTM": "b8a1fbca",
    "minLSTM": "be28bdf5",
    "minGRU": "be28bdf5",
    "GRU-D": "be28bdf5",
    "GRU": "be28bdf5",
    "FeedForward": "be28bdf5",
    "LTC-fixed": "c592b81f",
    "LTC-1-step": "be28bdf5",
    "LTC-6-steps": "be28bdf5",
    "LTC-random": "8b9deb59",
    "LSTM-NCP": "39bfd865",
    "CfC-append": "9d91b782",
    "STC-rate": "2283a5eb",
}


def test_a_changed_search_space_needs_a_new_results_format():
    """Pinned: ids of runs do not tell the space, so a change of it wants a new RESULTS_FORMAT; a new model does not.

    That of trainings which count epochs was another; their ids say so (`Training.epochs`), and they are run no more.
    """

    def digest(content):
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    shared = {name: optuna.distributions.distribution_to_json(one) for name, one in SHARED.items()}
    found = {"shared": digest(shared)} | {name: digest(spec.structures) for name, spec in MODELS.items()}
    assert (RESULTS_FORMAT, found) == (2, SPACE)
