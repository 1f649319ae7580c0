"""Whether a network learns the parity of bit streams: the control that training works at all.

    python benchmarks/parity.py parity-events LSTM --layers 2 --parameters 20000 --rate 0.006
    python benchmarks/parity.py parity-dense GRU --steps 1000 --rate 0.01

One training with the package's own trainer and curriculum (short streams first, longer ones as these are mastered);
the accuracy on validation at twenty places, and on test at the end.
"""

import argparse

import torch

from liquidbench import matching, networks
from liquidbench.metrics import METRICS
from liquidbench.rows import scored_or_why
from liquidbench.search import Settings
from liquidbench.tasks import synthetic
from liquidbench.training.learning import Data, predict
from liquidbench.training.trainer import Evaluation, Trainer, sampler_of

TASKS = {"parity-events": synthetic.parity_events, "parity-dense": synthetic.parity_dense}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=20_000, help="in training; validation and test have 1,000 each")
    parser.add_argument("--steps", type=int, default=6_000)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--parameters", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    task = TASKS[asked.task](sizes=(asked.streams, 1_000, 1_000))
    structure = {"num_layers": asked.layers}
    size = matching.size_for_budget(asked.model, task, asked.parameters, asked.seed, "parameters", structure)
    model = networks.build(asked.model, task, size, asked.seed, structure=structure)
    settings = Settings(asked.rate, patience=1.0, structure=structure)
    train, validation = (Data(task.split(name)) for name in ("train", "validation"))
    torch.manual_seed(asked.seed)
    trainer = Trainer(
        model,
        settings,
        train,
        validation,
        steps=asked.steps,
        batch_size=64,
        seed=asked.seed,
        metric=METRICS["accuracy"],
        sampler=sampler_of(task),
    )
    shown = 0

    def tell(evaluation: Evaluation) -> None:
        nonlocal shown
        if evaluation.step * 20 >= shown * asked.steps:
            shown = evaluation.step * 20 // asked.steps + 1
            print(f"step {evaluation.step:,}: accuracy {evaluation.score:.4f} on validation", flush=True)

    trainer.run(on_evaluation=tell)
    accuracy, _ = scored_or_why(METRICS["accuracy"], predict(model, Data(task.split("test"))))
    count, best = matching.count_parameters(model), trainer.progress.best_step
    print(f"{asked.model} of {count:,} parameters: accuracy {accuracy:.4f} on test, best after {best:,} steps")


if __name__ == "__main__":
    main()
