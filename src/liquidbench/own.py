"""Models and tasks of a user's own: `package.module:name` becomes the thing, in whatever process it is needed.

A study names no file. A module is found where Python finds modules, installed or in a folder of ``PYTHONPATH``, and
never in the current folder, so that every process finds the same and no file beside some data runs. Standard modules
and programs are no models, and are not imported.

A study keeps a checksum of the code that it was planned with, which is part of the names of its runs: results of one
version are never taken for those of another.
"""

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from liquidbench.processes import closed_path

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
        defined = (one for one, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__)
        offered = [one for one in defined if not one.startswith("_")]
        there = f"; it defines {', '.join(sorted(offered)[:10])}" if offered else ""
        raise CodeError(f"{code}: the module {module.__name__} ({module.__file__}) has no {name!r}{there}") from None


def checksum(code: str) -> str:
    """Twelve digits of a SHA-256 of the code behind a name: of its module, and of what this uses of its own package.

    A layer's module counts too where it is defined in another, and so do those of the layers that it extends. What is
    imported from other packages is not looked at.
    """
    found, module = load(code), _imported(code)
    # Of the code that this process has loaded, whatever becomes of the file; only importlib.reload takes the new one.
    if code in _checksums and _checksums[code][0] is module.__spec__:
        return _checksums[code][1]
    modules = dict.fromkeys([module, *_origins(found), *_origins(getattr(found, "layer", None))])
    files = sorted({(one.__name__, str(one.__file__)) for start in modules for one in _reached(start)})
    digest = hashlib.sha256()
    for name, file in files:
        digest.update(f"{name} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}\n".encode())
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


def _origins(thing: Any) -> list[ModuleType]:
    """The modules that define a class and those it extends, or a function, apart from ours and Python's."""
    if isinstance(thing, str):
        return [one for one in (_imported(thing), *_origins(load(thing))) if _of_users(one)] if is_code(thing) else []
    classes: Iterable[Any] = inspect.getmro(thing) if isinstance(thing, type) else [thing]
    names = dict.fromkeys(str(getattr(one, "__module__", "")) for one in classes)
    return [sys.modules[name] for name in names if name in sys.modules and _of_users(sys.modules[name])]


def _of_users(module: ModuleType) -> bool:
    top = module.__name__.partition(".")[0]
    known = top in sys.stdlib_module_names or top in ("torch", "liquidrnn", "liquidbench")
    return not known and bool(getattr(module, "__file__", None))


def _reached(start: ModuleType) -> list[ModuleType]:
    """A module, and those of the same package that it has taken something from, directly or through others."""
    top = start.__name__.partition(".")[0]
    found, open_ones = {start.__name__: start}, [start]
    while open_ones:
        for thing in list(vars(open_ones.pop()).values()):
            name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
            module = sys.modules.get(name) if isinstance(name, str) else None
            if module is None or module.__name__ in found or module.__name__.partition(".")[0] != top:
                continue
            if getattr(module, "__file__", None):
                found[module.__name__] = module
                open_ones.append(module)
    return list(found.values())
