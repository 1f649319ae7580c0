"""Measures how many pictures a second flights take on this machine: `python benchmarks/flight_frames.py`.

Drawn alone, and in flights side by side with their physics, where an expert commands.
"""

import argparse
import os
import time

import numpy as np

from liquidbench.tasks.flight import rendering, run, scenes
from liquidbench.tasks.flight.expert import Expert
from liquidbench.tasks.flight.flights import Flights, Mission

LAYOUTS = 48


def drawn(height: int, width: int, pictures: int) -> tuple[float, float]:
    """Pictures a second of time, and of processor time, each of another layout than the one before."""
    camera, look = rendering.camera(height, width), scenes.look()
    layouts = [scenes.draw([number]) for number in range(LAYOUTS)]
    places = np.random.default_rng(0).uniform((-2, -2, 1), (4, 2, 2), (pictures, 3))
    camera.picture(layouts[0], look, places[0], np.eye(3))
    begun, used = time.perf_counter(), time.process_time()
    for number, place in enumerate(places):
        camera.picture(layouts[number % LAYOUTS], look, place, np.eye(3))
    return pictures / (time.perf_counter() - begun), pictures / (time.process_time() - used)


def flown() -> tuple[float, float]:
    """The same of whole flights."""
    flights = Flights(LAYOUTS, 0, Mission())
    begun, used = time.perf_counter(), time.process_time()
    run(Expert(), flights)
    pictures = int(flights.ticks.sum())
    return pictures / (time.perf_counter() - begun), pictures / (time.process_time() - used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    pictures = parser.parse_args().pictures
    rendering.mujoco()
    print(f"renderer {os.environ.get('MUJOCO_GL', 'default')}, {os.cpu_count()} processors")
    for height, width in ((48, 64), (96, 128), (144, 256)):
        seconds, busy = drawn(height, width, pictures)
        print(f"{width:>4} x {height:<4} {seconds:7,.0f} pictures a second, {busy:7,.0f} a second of processor time")
    seconds, busy = flown()
    print(f"{LAYOUTS} flights {seconds:7,.0f} pictures a second, {busy:7,.0f} a second of processor time, with physics")


if __name__ == "__main__":
    main()
