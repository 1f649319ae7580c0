"""A closed loop flown in other worlds: asked for like shifts, stored like them, and judged like them."""

from dataclasses import replace

import numpy as np
import pytest
from test_policy import HELD, task

from liquidbench import results, shifts
from liquidbench.statistics import degradation, task_results
from liquidbench.study import Robustness, Run, Search, Training
from liquidbench.tasks.task import Task
from liquidbench.training.fit import fit


class Still:
    """Does nothing."""

    def reset(self, episodes=None):
        pass

    def __call__(self, observation, *, timespan=None, mask=None):
        return np.zeros(1)


def loop(seed: int, wind: float = 0.0) -> float:
    """Time held, which depends on nothing but seed and wind, and on the policy."""
    return 8.0 - wind + seed % 7 / 10


def blown(fails: str = "") -> Task:
    def in_world(world: str, level: float):
        def rollout(policy, seed):
            if fails and level > 3:
                raise ValueError(fails)
            return {"held": loop(seed, level) - 2 * isinstance(policy, Still)}

        return rollout

    return task(
        rollout=in_world("", 0.0),
        elsewhere=in_world,
        worlds=("wind",),
        measurements=(HELD,),
        judged="held",
        policies={"trivial": Still()},
    )


def run(robustness) -> Run:
    return Run(
        *("fit", "loop", "GRU", "matched", 4, 0, "parameters", 540),
        training=Training(steps=4, batch_size=8),
        search=Search(trials=1),
        tuned=(4, 0),
        robustness=robustness,
    )


def test_a_network_acts_in_every_world_at_every_level_and_so_do_policies():
    rows = fit(run(Robustness.parse({"wind": [2, 4], "noise": [1.0]})), blown())
    found = {(row["metric"], row["split"], row["corruption"], row["level"]): row["value"] for row in rows}
    calm = found["held", "test", "", 0.0]
    assert found["held", "test", "wind", 2.0] == pytest.approx(calm - 2)
    assert found["held", "test", "wind", 4.0] == pytest.approx(calm - 4)
    assert found[results.policy_metric("trivial", "held"), "test", "wind", 4.0] == pytest.approx(calm - 6)
    # A loop's task has shifts of its test split as well.
    assert ("mse", "test", "noise", 1.0) in found and ("mse", "test", "wind", 2.0) not in found
    assert not any(corruption for _, split, corruption, _ in found if split == "validation")


def test_policies_act_once_for_all_networks_with_one_seed(monkeypatch):
    acted = []
    monkeypatch.setattr(Still, "reset", lambda self, episodes=None: acted.append(episodes))
    asked, known = run(Robustness.parse({"wind": [2, 4]})), {}

    def of_policies(one):
        return [
            {name: row[name] for name in ("metric", "corruption", "level", "value", "model", "parameters", "seed")}
            for row in fit(one, blown(), baselines=known)
            if "trivial" in row["metric"]
        ]

    first = of_policies(asked)
    assert len(acted) == 3 and len(first) == 4
    other = of_policies(replace(asked, model="CfC", parameters=600))
    assert len(acted) == 3
    assert [row["value"] for row in other] == [row["value"] for row in first]
    assert {row["model"] for row in other} == {"CfC"} and {row["parameters"] for row in other}.isdisjoint({None, 540})
    again = of_policies(replace(asked, seed=6, tuned=(6, 0)))
    assert len(acted) == 6
    assert [row["value"] for row in again] != [row["value"] for row in first]
    of_policies(replace(asked, robustness=Robustness.parse({"wind": [3]})))
    assert len(acted) == 8


@pytest.mark.parametrize("judged", ["held", ""])
def test_trials_are_compared_by_what_the_task_is_judged_by(judged):
    def rollout(policy, seed):
        # The further off a network is, the longer it holds.
        policy.reset()
        return {"held": min(9.0, abs(policy(np.zeros(2))[0]) / 1000)}

    toy = replace(blown(), rollout=rollout, elsewhere=None, worlds=(), policies={}, judged=judged)
    search = Search(trials=4)
    rows = fit(replace(run(Robustness.parse({})), search=search, training=Training(steps=40, batch_size=8)), toy)
    tried = {row["trial"]: row["value"] for row in rows if row["metric"] == "trial_score"}
    losses = {row["trial"]: row["value"] for row in rows if row["metric"] == "loss" and row["split"] == "validation"}
    name = judged or "mse"
    (kept,) = [row for row in rows if row["metric"] == name and row["split"] == "validation"]
    best = max if judged else min
    assert kept["trial"] == best(tried, key=tried.__getitem__) and kept["value"] == pytest.approx(tried[kept["trial"]])
    assert len(tried) == 4 and len(set(tried.values())) > 1
    # The two choose different networks, or this would show nothing.
    assert (kept["trial"] == min(losses, key=losses.__getitem__)) == (not judged)


def test_a_rollout_that_fails_in_one_world_leaves_the_others():
    rows = fit(run(Robustness.parse({"wind": True})), blown(fails="no sky"))
    found = {
        row["level"]: (row["value"], row["reason"])
        for row in rows
        if row["corruption"] == "wind" and row["metric"] == "held"
    }
    assert found[2.0][0] is not None
    assert found[4.0] == found[6.0] == (None, "the rollout failed: ValueError: no sky")
    assert rows[0]["status"] == "done"


def test_what_a_world_costs_is_judged_by_the_measurement(tmp_path):
    toy = blown()
    rows = fit(run(Robustness.parse({"wind": [2, 4]})), toy)
    results.write(tmp_path, [row | {"study": "s"} for row in rows])
    frame = results.read(tmp_path).lazy()
    (of_task,) = task_results.results_by_task(frame, {"loop": toy.facts()}, 0.01, {"GRU": "recurrent"})
    (effect,) = degradation.degradations(of_task)
    assert effect.shift == "wind"
    assert effect.models[0].drops[4.0].mean == pytest.approx(4)


def test_worlds_that_a_task_does_not_have_do_not_apply():
    assert shifts.find("wind").why_not(task()) == "the task has no closed loop with this world"
    assert shifts.find("wind").why_not(blown()) == ""
    assert not [row for row in fit(run(Robustness.parse({"wind": [2]})), task()) if row["corruption"]]
    with pytest.raises(ValueError, match="robustness has no key 'wnd'.*wind"):
        Robustness.parse({"wnd": True})
    with pytest.raises(ValueError, match="several of the first 11 joined by"):
        shifts.find("wind+noise")
    with pytest.raises(ValueError, match="worlds must be among .*wind.*got .'storm'"):
        replace(blown(), worlds=("storm",))
    with pytest.raises(ValueError, match="worlds must be declared where there is a rollout elsewhere"):
        task(worlds=("wind",))


def test_images_have_worlds_and_no_shifts():
    film = replace(task().facts(), image=(4, 4, 3))
    assert "images" in shifts.find("noise").why_not(film)
