"""User-defined models and tasks: loads the object that `package.module:name` refers to, in any process.

A module is found on Python's import path, installed or in a folder of ``PYTHONPATH``, but never in the current folder:
every process must find the same code, and no file that comes with some data may run. Modules of the standard library
are not accepted.

A study stores a checksum of the code that it was planned with. It is part of the ids of the runs, so that results of
one version of the code are never mistaken for those of another.
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

NAMES = "1 to 40 letters, digits, spaces, '.', '+', '-' or '_', the first a letter or digit"
"""The names that users may give, in words."""


class CodeError(ValueError):
    """Code that a study refers to is missing, unusable, or not what the study was planned with."""


@dataclass(frozen=True)
class UserCode:
    """A user-defined object as a study stores it: enough to report on it when the code is not available.

    Attributes:
        code: its location, ``"package.module:name"``.
        name: its name in results and reports; "" for the last part of `code`.
        checksum: checksum of its code (`checksum`); "" to accept any.
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
        """Load the object.

        Raises:
            CodeError: if it is missing, or its code is not what the study was planned with.
        """
        found = load(self.code)
        now = checksum(self.code)
        if self.checksum and self.checksum != now:
            raise CodeError(
                f"{self.code} has changed since the study was planned: its code has checksum {now}, not "
                f"{self.checksum}. Restore the old code, or run the study with the new: liquidbench run "
                "STUDY.yaml --update"
            )
        return found


def is_code(text: object) -> bool:
    """Whether a text refers to user-defined code, valid or not: no built-in name has a colon."""
    return isinstance(text, str) and ":" in text


def check_code(code: object) -> None:
    """Refuse a text that cannot refer to user-defined code.

    Raises:
        CodeError: with the reason.
    """
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise CodeError(f"your own code must be given as package.module:name; got {code!r}")
    parts = code.partition(":")[0].split(".")
    if parts[0] in sys.stdlib_module_names or "__main__" in parts:
        raise CodeError(f"your own code must be in a module of your own, which {parts[0]!r} is not; got {code!r}")


def load(code: str) -> Any:
    """The object that ``package.module:name`` refers to.

    Raises:
        CodeError: if the module or the name does not exist, or importing the module fails.
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
    """First 12 hex digits of a SHA-256 of the code of an object: its module, and the modules of its package it imports.

    It includes the modules that define the layer and the layers it extends, if these are others. Other packages that
    are imported are not included.

    Raises:
        CodeError: if the code is missing or cannot be read.
    """
    found, module = load(code), _imported(code)
    # Cached: the checksum is of the code that this process has loaded, even if the file changes. A module that is
    # loaded again has a new spec.
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
        # With the import path of workers, so that they find the same module as the driver.
        with closed_path():
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise CodeError(
                f"{code}: there is no module {error.name!r}. Install it, or give the folder that contains it: "
                f"PYTHONPATH=FOLDER liquidbench ... (the current folder is not searched)"
            ) from None
        raise CodeError(f"{code}: its module needs the module {error.name!r}, which is not installed") from error
    # A user's module may raise anything.
    except (Exception, SystemExit) as error:
        raise CodeError(f"{code}: importing its module fails: {type(error).__name__}: {error}") from error
    if not getattr(module, "__file__", None):
        raise CodeError(f"{code}: {name} is a folder, not a module; give the module in it: {name}.MODULE:NAME")
    return module


def _origins(thing: Any) -> set[str]:
    """Names of the user's modules that define a class and its base classes, or a function."""
    if isinstance(thing, str):
        return {name for name in (thing.partition(":")[0], *_origins(load(thing))) if _of_users(name)}
    classes: Iterable[Any] = inspect.getmro(thing) if isinstance(thing, type) else [thing]
    return {name for name in map(_defined_in, classes) if _of_users(name)}


def _defined_in(thing: Any) -> str:
    """The name of the module that defines an object or its class; "" if unknown."""
    # Objects in a user's module may raise anything from attribute access.
    with suppress(Exception):
        return str(thing.__module__)
    return ""


def _of_users(name: str) -> bool:
    top = name.partition(".")[0]
    return bool(top) and top not in sys.stdlib_module_names and top not in ("torch", "liquidrnn", "liquidbench")


def _contents(code: str, start: Iterable[str]) -> dict[str, bytes]:
    """Content of the files of some modules, and of the modules of the same packages they import, by module name."""
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
                f"{code}: {spec.origin} cannot be read ({error.strerror or error}), so changes would go unnoticed"
            ) from None
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        top = name.partition(".")[0]
        names += [one for one in _imports(found[name], package) if one.partition(".")[0] == top]
    return found


def _spec_of(name: str) -> ModuleSpec | None:
    # The name may not be a module, and its package may raise anything.
    with suppress(Exception):
        return importlib.util.find_spec(name)
    return None


def _imports(content: bytes, package: str) -> Iterator[str]:
    """Absolute names that a module imports anywhere; both a and a.b for ``from a import b``, as b may be a module."""
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
