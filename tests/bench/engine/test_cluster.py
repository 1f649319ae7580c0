"""A real Ray cluster on this machine; some of its workers, nodes and drivers are lost."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from test_kills import prepared, whole

from liquidbench import predictions, results
from liquidbench.__main__ import main
from liquidbench.engine.cluster import Cluster

pytest.importorskip("ray", reason="needs the extra ray")

SCRIPT = Path(__file__).with_name("on_ray.py")


def on_ray(case: str, directory: Path) -> dict:
    """The output of `on_ray` for a case."""
    told = directory / "told"
    # Not through pipes, which Ray's processes would keep open if this one had to be killed.
    with told.open("w") as output:
        command = [sys.executable, "-W", "ignore", str(SCRIPT), case, str(directory)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        ) as process:
            try:
                code = process.wait(timeout=150)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = None
    lines = told.read_text()
    told.unlink()
    assert code == 0, lines
    return json.loads([line for line in lines.splitlines() if line.startswith("{")][-1])


@pytest.mark.slow
def test_a_lost_node_costs_its_run_another_attempt(tmp_path):
    study = prepared(tmp_path, 3)
    told = on_ray("lost_node", tmp_path)
    assert len(told["killed"]) == 1 and set(told["lost"]) == set(told["killed"])
    assert len(told["finished"]) == 8 and not told["failed"]
    frame = results.read(tmp_path).filter(metric="loss", status="done")
    assert set(told["killed"]) <= set(frame["run"])
    whole(tmp_path, study)


@pytest.mark.slow
def test_runs_that_kill_their_worker_fail_and_cost_no_other(tmp_path):
    study = prepared(tmp_path, 3)
    told = on_ray("deadly_runs", tmp_path)
    assert len(told["failed"]) == 2 and all("WorkerCrashed" in reason for reason in told["failed"].values())
    assert len(told["finished"]) == 8 - 2 and told["counts"]["lost"] == 2 + 2
    whole(tmp_path, study)


@pytest.mark.slow
def test_a_killed_driver_of_a_cluster_loses_the_runs_in_flight_alone(tmp_path):
    study = prepared(tmp_path, 6)
    told = on_ray("killed_driver", tmp_path)
    assert told["told"] and 0 < told["left"] <= 14 - len(told["told"])
    assert len(told["finished"]) == told["left"]
    whole(tmp_path, study)


@pytest.mark.slow
def test_a_worker_that_cannot_work_ends_the_study(tmp_path):
    prepared(tmp_path, 1)
    error = on_ray("unfit_node", tmp_path)["error"]
    assert error.startswith("a Ray worker cannot do any run: ") and "no liquidbench on this node" in error
    assert not results.done(tmp_path) and not (tmp_path / "leases").exists()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what listens from /proc")
def test_a_ray_of_this_machine_is_out_of_reach_and_imports_nothing_from_the_folder_of_data(tmp_path):
    prepared(tmp_path, 1)
    told = on_ray("alone", tmp_path)
    assert told["finished"]
    # 127.0.0.1, and as an IPv4-mapped IPv6 address, in the kernel's byte order.
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    assert told["listens"] and set(told["listens"]) <= loopback
    assert str(tmp_path / "data") not in told["path"] and "" not in told["path"]
    assert told["folder"] == str(tmp_path / "data"), "relative paths mean what they mean to the driver"
    private = Path(tempfile.gettempdir()) / f"liquidbench-{os.getuid()}"
    assert (private / "ray").is_dir() and private.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_where_there_is_no_cluster_it_is_said(tmp_path):
    prepared(tmp_path, 1)
    error = on_ray("nowhere", tmp_path)["error"]
    assert re.match("there is no Ray at 'auto'.*ray start --head.*--ray local", error)


@pytest.mark.slow
def test_real_fits_by_the_command_line(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(
        "{name: small, tasks: [occupancy-excerpt], models: [GRU], parameters: 1000, seeds: 2, "
        "search: {trials: 2, mode: cheap}, training: {steps: 10}}"
    )
    command = [sys.executable, "-m", "liquidbench", "run", str(path), "--results", str(tmp_path), "--ray", "local"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert ended.returncode == 0, ended.stderr
    assert "(3 of 3 runs)" in ended.stdout
    frame = results.read(tmp_path / "small")
    assert set(frame["threads"]) == {1}
    # The workers' files have been stored here.
    assert len(list((tmp_path / "small" / "searches").glob("*.journal"))) == 1
    for run in frame.filter(kind="fit")["run"].unique():
        assert len(predictions.read(tmp_path / "small", run)["test"][0])


def test_arguments_are_checked(tmp_path, capsys):
    with pytest.raises(ValueError, match="threads must be at least 1; got 0"):
        Cluster("local", threads=0)
    path = tmp_path / "small.yaml"
    path.write_text("{name: small, tasks: [occupancy-excerpt], models: [GRU]}")
    with pytest.raises(SystemExit):
        main(["run", str(path), "--results", str(tmp_path), "--ray", "local", "--in-process"])
    assert "leave out --processes and --ray" in capsys.readouterr().err
