"""The command line: run, resume and report on studies, compare networks on a table, train, keep and use one.

Exit codes: 0 for success, 1 if every fit failed or a task of the study could not be built, 2 for a wrong command or bad
input (with a message of one sentence), 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 if the reader of the
output has gone. Modules are imported where a command needs them, so help, ``list`` and ``report`` never load torch.
"""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` puts the current folder first on the path: a socket.py there would hide Python's own.
    if os.path.realpath(sys.path[0]) != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        del sys.path[0]

import argparse
import io
import signal
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import liquidbench
from liquidbench.commands import listing, networks, reports, running, tables, training
from liquidbench.commands.refusing import refuse
from liquidbench.system.names import shown
from liquidbench.system.processes import Stopped, stoppable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; None for ``sys.argv``.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A character that the output cannot encode must not end a study.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Print each warning once, as one line without source code.
    printed: set[str] = set()

    def line(message: Warning | str, *_: Any, **__: Any) -> str:
        text = f"liquidbench: {shown(str(message))}\n"
        if text in printed:
            return ""
        printed.add(text)
        return text

    warnings.formatwarning = line
    try:
        with stoppable():
            code = options.command(options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _end_quietly()
    except OSError as problem:
        # Whether it was the output: what could not be written is not always kept for another try.
        try:
            print(flush=True)
        except OSError:
            _end_quietly()
            refuse(
                f"the output cannot be written ({problem.strerror or problem}). Make room where it is redirected to, "
                "or redirect it elsewhere, then repeat the command"
            )
        raise
    except KeyboardInterrupt as stop:
        # The terminal may be gone, which is what SIGHUP says.
        with suppress(OSError):
            print("liquidbench: stopped", file=sys.stderr, flush=True)
        return 128 + (stop.signal if isinstance(stop, Stopped) else signal.SIGINT)


def _end_quietly() -> int:
    """The reader of the output has gone (as `head` does): prevent an error when Python flushes the output at exit."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="liquidbench",
        description="Should I use a liquid network here? Fair comparisons of liquid and recurrent networks.",
        epilog="begin with:\n  liquidbench run studies/demo.yaml\n  liquidbench compare TABLE.csv --target COLUMN",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"liquidbench {liquidbench.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(command=act)
        return added

    for module in (running, reports, networks, listing, tables, training):
        module.add(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
