"""Tables of results whose answer is known."""

import polars as pl

from liquidbench.facts import Facts
from liquidbench.results import SCHEMA

ACCURACY = Facts(metric="accuracy", metric_label="Accuracy", higher_is_better=True)
ERROR = Facts(metric="mse", metric_label="Mean squared error", higher_is_better=False)
PATIENCE, ALL, CUT = ("patience", 9, 6), ("all epochs", 8, 8), ("minutes", 2, 2)


def table(
    scores,
    *,
    task="t",
    metric="accuracy",
    variant="matched",
    validation=None,
    ended=None,
    baselines=None,
    rates=None,
    fold=0,
    matching="parameters",
):
    """Rows of a study: model -> test score of each seed, None where the run failed.

    `ended` says how each model's chosen trainings ended, (by what, epochs, best epoch), one a seed; `rates`, of which
    the last is chosen, are tried by all.
    """
    rows = []
    for model, values in scores.items():
        for seed, value in enumerate(values):
            row = dict.fromkeys(SCHEMA) | {
                "run": f"{task}-{model}-{variant}-{matching}-{fold}-{seed}",
                "task": task,
                "model": model,
                "variant": variant,
                "seed": seed,
                "fold": fold,
                "matching": matching,
                "kind": "fit",
                "status": "failed" if value is None else "done",
                "metric": metric,
                "corruption": "",
                "level": 0.0,
            }
            chosen = value if validation is None else validation[model]
            rows += [row | {"split": "test", "value": value}, row | {"split": "validation", "value": chosen}]
            for name, score in (baselines or {}).items():
                rows.append(row | {"split": "test", "metric": name, "value": score})
            if ended is not None:
                by, epochs, best = ended[model][seed]
                tried = rates or (0.01,)
                for trial, rate in enumerate(tried):
                    row |= {"split": "", "trial": trial, "learning_rate": rate}
                    rows.append(row | {"metric": "epochs", "value": float(epochs), "reason": by})
                rows.append(row | {"metric": "best_epoch", "value": float(best)})
    return pl.DataFrame(rows, schema=SCHEMA)


def costs(measured, *, task="t"):
    """Rows of what models cost: model -> metric -> value."""
    rows = [
        dict.fromkeys(SCHEMA)
        | {
            "run": f"{task}-{model}-cost",
            "task": task,
            "model": model,
            "variant": "matched",
            "seed": 0,
            "kind": "cost",
            "status": "done",
            "split": "",
            "metric": metric,
            "corruption": "",
            "level": 0.0,
            "value": value,
        }
        for model, known in measured.items()
        for metric, value in known.items()
    ]
    return pl.DataFrame(rows, schema=SCHEMA)
