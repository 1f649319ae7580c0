"""Models and tasks of a user's own: `package.module:name` becomes the thing, in whatever process it is needed.

A study names no file. A module is found where Python finds modules, installed or in a folder of ``PYTHONPATH``, and
never in the current folder, so that every process finds the same and no file beside some data runs. Standard modules
and programs are no models, and are not imported.

A study keeps a checksum of the code that it was planned with, which is part of the names of its runs: results of one
version are never taken for those of another.
"""

import ast
import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from liquidbench.system.processes import closed_path

_CODE = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")
_NAME = re.compile(r"[^\W_][\w .+-]{0,39}")

NAMES = "1 to 40 letters, digits, blanks, '.', '+', '-' or '_', the first a letter or digit"
"""What a name of one's own may consist of, in words."""


class CodeError(ValueError):
    """Code that a study names is not there, cannot be used, or is not what the study was planned with."""


@dataclass(frozen=True)
class Own:
    """Something of a user's own, as a study keeps it: enough to report on it where the code is not there.

    Attributes:
        code: where it is, ``"package.module:name"``.
        name: what it is called in results and reports; "" for the last part of `code`.
        checksum: of its code (`checksum`); "" for whatever is there now.
    """

    code: str
    name: str = ""
    checksum: str = ""

    def __post_init__(self) -> None:
        check_code(self.code)
        if not self.name:
            object.__setattr__(self, "name", self.code.rpartition(":")[2].strip("_"))
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name != self.name.strip():
            raise CodeError(f"the name of {self.code} must be {NAMES}; got {self.name!r}")
        if not isinstance(self.checksum, str):
            raise CodeError(f"the checksum of {self.code} must be text; got {self.checksum!r}")

    def load(self) -> Any:
        """The thing itself.

        Raises:
            CodeError: it is not there, or its code is not what the study was planned with.
        """
        found = load(self.code)
        now = checksum(self.code)
        if self.checksum and self.checksum != now:
            raise CodeError(
                f"{self.code} has changed since the study was planned: its code has checksum {now}, not "
                f"{self.checksum}. Put the old code back, or have the study run with the new: liquidbench run "
                "STUDY.yaml --update"
            )
        return found


def is_code(text: object) -> bool:
    """Whether a text names something of a user's own, rightly or not: no name in the package has a colon."""
    return isinstance(text, str) and ":" in text


def check_code(code: object) -> None:
    """Refuse what names no code.

    Raises:
        CodeError: in words.
    """
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise CodeError(f"code of one's own is named as package.module:name; got {code!r}")
    parts = code.partition(":")[0].split(".")
    if parts[0] in sys.stdlib_module_names or "__main__" in parts:
        raise CodeError(f"code of one's own is in a module of one's own, which {parts[0]!r} is not; got {code!r}")


def load(code: str) -> Any:
    """What ``package.module:name`` stands for.

    Raises:
        CodeError: no module or name is there, or the module fails when it is imported.
    """
    check_code(code)
    module = _imported(code)
    name = code.rpartition(":")[2]
    try:
        return getattr(module, name)
    except AttributeError:
        defined = (one for one, thing in vars(module).items() if _defined_in(thing) == module.__name__)
        offered = [one for one in defined if not one.startswith("_")]
        there = f"; it defines {', '.join(sorted(offered)[:10])}" if offered else ""
        raise CodeError(f"{code}: the module {module.__name__} ({module.__file__}) has no {name!r}{there}") from None


def checksum(code: str) -> str:
    """Twelve digits of a SHA-256 of the code behind a name: of its module, and of what this imports of its own package.

    A layer's module counts too where it is defined in another, and so do those of the layers that it extends. What is
    imported from other packages is not looked at.

    Raises:
        CodeError: it is not there, or cannot be read.
    """
    found, module = load(code), _imported(code)
    # Of the code that this process has loaded, whatever becomes of the file; only importlib.reload takes the new one.
    if code not in _checksums or _checksums[code][0] is not module.__spec__:
        digest = hashlib.sha256()
        with closed_path():
            contents = _contents(code, {module.__name__, *_origins(found), *_origins(getattr(found, "layer", None))})
        for name, content in sorted(contents.items()):
            digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        _checksums[code] = module.__spec__, digest.hexdigest()[:12]
    return _checksums[code][1]


_checksums: dict[str, tuple[object, str]] = {}


def _imported(code: str) -> ModuleType:
    name = code.partition(":")[0]
    try:
        # As a worker has it: what the driver finds, they find.
        with closed_path():
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise CodeError(
                f"{code}: there is no module {error.name!r}. Install it, or name the folder that it lies in: "
                f"PYTHONPATH=FOLDER liquidbench ... (the current folder is not searched)"
            ) from None
        raise CodeError(f"{code}: its module needs the module {error.name!r}, which is not installed") from error
    # A module may fail in any way.
    except (Exception, SystemExit) as error:
        raise CodeError(f"{code}: its module fails when it is imported: {type(error).__name__}: {error}") from error
    if not getattr(module, "__file__", None):
        raise CodeError(f"{code}: {name} is a folder and no module; name the module in it: {name}.MODULE:NAME")
    return module


def _origins(thing: Any) -> set[str]:
    """Names of the modules that define a class and those it extends, or a function, apart from ours and Python's."""
    if isinstance(thing, str):
        return {name for name in (thing.partition(":")[0], *_origins(load(thing))) if _of_users(name)}
    classes: Iterable[Any] = inspect.getmro(thing) if isinstance(thing, type) else [thing]
    return {name for name in map(_defined_in, classes) if _of_users(name)}


def _defined_in(thing: Any) -> str:
    """The name of the module that defines a thing, or its class; "" where it does not tell."""
    # A module may hold things that fail in any way when they are asked.
    with suppress(Exception):
        return str(thing.__module__)
    return ""


def _of_users(name: str) -> bool:
    top = name.partition(".")[0]
    return bool(top) and top not in sys.stdlib_module_names and top not in ("torch", "liquidrnn", "liquidbench")


def _contents(code: str, start: Iterable[str]) -> dict[str, bytes]:
    """What is in the files of some modules, and of those of the same packages that they import, by name."""
    found: dict[str, bytes] = {}
    names = list(start)
    while names:
        name = names.pop()
        spec = None if name in found else _spec_of(name)
        if spec is None or not spec.origin or not spec.has_location:
            continue
        try:
            found[name] = Path(spec.origin).read_bytes()
        except OSError as error:
            raise CodeError(
                f"{code}: {spec.origin} cannot be read ({error.strerror or error}), so that no change would be seen"
            ) from None
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        top = name.partition(".")[0]
        names += [one for one in _imports(found[name], package) if one.partition(".")[0] == top]
    return found


def _spec_of(name: str) -> ModuleSpec | None:
    # What stands behind `from` may be no module, and its package may fail.
    with suppress(Exception):
        return importlib.util.find_spec(name)
    return None


def _imports(content: bytes, package: str) -> Iterator[str]:
    """What a module's text imports anywhere, absolute; of ``from a import b`` both a and a.b, which may be a module."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        # A compiled module.
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (start, node.module)))
            yield base
            yield from (f"{base}.{one.name}" for one in node.names)
