"""Steps that last are named, others are not, and nothing is left on the terminal."""

import io
import re
import time

from liquidbench import waiting
from liquidbench.waiting import Steps


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_quick_step_prints_nothing():
    stream = io.StringIO()
    with Steps(stream=stream) as now:
        now("reading")
        now("thinking")
    assert stream.getvalue() == ""


def test_off_a_terminal_a_step_that_lasts_comes_back_with_its_seconds(monkeypatch):
    monkeypatch.setattr(waiting, "AFTER", 0.05)
    monkeypatch.setattr(waiting, "AGAIN", 0.15)
    stream = io.StringIO()
    with Steps(stream=stream) as now:
        now("reading big\x1b[2J.csv (198 MB)")
        time.sleep(0.8)
    first, *others = stream.getvalue().splitlines()
    assert first == r"liquidbench: reading big\x1b[2J.csv (198 MB) ..."
    assert others and all(re.fullmatch(r"liquidbench: reading .* \.\.\., \d s so far", line) for line in others)


def test_on_a_terminal_one_line_counts_and_goes_away(monkeypatch):
    monkeypatch.setattr(waiting, "AFTER", 0.05)
    stream = Terminal()
    with Steps(stream=stream) as now:
        now("reading")
        time.sleep(0.4)
    assert "\r\x1b[Kreading ... 0 s" in stream.getvalue()
    assert "\n" not in stream.getvalue() and stream.getvalue().endswith("\r\x1b[K")


def test_whole_lines_on_a_terminal_too_if_asked(monkeypatch):
    monkeypatch.setattr(waiting, "AFTER", 0.05)
    stream = Terminal()
    with Steps(plain=True, stream=stream) as now:
        now("reading")
        time.sleep(0.4)
    assert stream.getvalue() == "liquidbench: reading ...\n"


def test_a_closed_stream_stops_nothing(monkeypatch):
    monkeypatch.setattr(waiting, "AFTER", 0.05)
    stream = Terminal()
    with Steps(stream=stream) as now:
        now("reading")
        stream.close()
        time.sleep(0.3)
        now("going on")
