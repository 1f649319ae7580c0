"""Times of two revisions of the library, beside one another in one run.

    python benchmarks/revisions.py v0.2.0            # against the working tree
    python benchmarks/revisions.py main my-branch    # two revisions
    python benchmarks/revisions.py ../before/src     # a folder in which liquidrnn is installed or built

Each revision is installed in a folder of its own and runs in a process of its own. Cases are those of ``speed.py``, or
with ``--cases rivals`` those of ``rivals.py``. A round times both, one after the other and in turn first; a ratio is
the median over rounds of new over old, with its quartiles. With ``--threads 1`` times are processor times. Ratios above
``--most`` whose lower quartile is above 1 are named, and the command then fails.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def installed(revision: str, folder: Path) -> Path:
    """The folder in which a revision's liquidrnn is: the one named, or one that it is installed in now."""
    if (Path(revision) / "liquidrnn").is_dir():
        return Path(revision).resolve()
    tree, target = folder / "tree", folder / "installed"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, revision], check=True, cwd=HERE)
    try:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, tree]
        subprocess.run(pip, check=True)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], check=True, cwd=HERE)
    return target


class Revision:
    """A process that times cases of one revision when asked."""

    def __init__(self, path: Path, arguments: argparse.Namespace):
        chosen = ["--cases", arguments.cases, "--threads", str(arguments.threads)]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(path), *chosen],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **question) -> dict:
        """The answer to a question."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("a revision's process ended; what it said is above")
        return json.loads(answer)


def serve(path: str, module: str, threads: int) -> None:
    """Times cases for the process that asks on standard input."""
    # Not the checkout's own, which an editable install puts first.
    sys.meta_path = [finder for finder in sys.meta_path if "ditable" not in str(finder)]
    sys.path[:0] = [path, str(HERE)]
    import speed
    import torch

    import liquidrnn

    assert Path(liquidrnn.__file__).is_relative_to(path), liquidrnn.__file__
    torch.set_num_threads(threads)
    speed.clock = time.thread_time if threads == 1 else time.perf_counter
    cases, calls = {f"{case.name} {case.task}": case for case in importlib.import_module(module).cases()}, {}
    for line in sys.stdin:
        question = json.loads(line)
        if "case" not in question:
            print(json.dumps({"cases": list(cases)}), flush=True)
            continue
        name = question["case"]
        case = cases[name]
        if name not in calls:
            torch.manual_seed(0)
            shape = (case.batch,) if case.task == "step" else (case.batch, case.time)
            calls[name] = case.contenders[speed.OURS](), torch.randn(*shape, speed.INPUTS)
            for _ in range(3):
                speed.once(case.task, *calls[name])
        seconds = speed.timed(case.task, *calls[name], question["count"])
        print(json.dumps({"seconds": seconds}), flush=True)


def main() -> None:
    """Parses the command line and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", nargs="?", help="a revision of git, or a folder with liquidrnn")
    parser.add_argument("new", nargs="?", default=str(HERE.parent / "src"), help="the same; this checkout by default")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cases", default="speed", choices=("speed", "rivals"), help="the file whose cases are timed")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--most", type=float, default=1.03, help="largest ratio that passes")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.cases, arguments.threads)
    if not arguments.old:
        parser.error("name the revision, or the folder, to compare with")
    with tempfile.TemporaryDirectory() as folder:
        paths = [installed(r, Path(folder) / str(n)) for n, r in enumerate((arguments.old, arguments.new))]
        slower = compare([Revision(path, arguments) for path in paths], arguments)
    if slower:
        sys.exit(f"slower than {arguments.most:g} times the old: {', '.join(slower)}")


def compare(revisions: list[Revision], arguments: argparse.Namespace) -> list[str]:
    """Prints a row for each case, and returns the names of those that are slower than they may be."""
    slower = []
    print(f"{'case':38} {'old ms':>10} {'new ms':>10} {'new / old':>10}  quartiles")
    for name in revisions[0].ask()["cases"]:
        if arguments.only not in name:
            continue
        count = max(1, min(2000, int(0.05 / revisions[0].ask(case=name, count=1)["seconds"])))
        rounds = []
        for n in range(arguments.rounds):
            order = (0, 1) if n % 2 else (1, 0)
            seconds = {which: revisions[which].ask(case=name, count=count)["seconds"] for which in order}
            rounds.append((seconds[0], seconds[1]))
        low, middle, high = statistics.quantiles((new / old for old, new in rounds), n=4)
        old, new = (1e3 * statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:38} {old:10.3f} {new:10.3f} {middle:10.3f}  {low:.3f} to {high:.3f}", flush=True)
        if middle > arguments.most and low > 1:
            slower.append(name)
    return slower


if __name__ == "__main__":
    main()
