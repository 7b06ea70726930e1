"""Simulated machines kept in files: a tree of dataclasses and keys as JSON, and back.

What is one object in memory is one object again: eight GPUs of one vendor share it after they are read. Only
dataclasses of ours and the few types below can be in a file, so that reading one runs no code that it brings.
"""

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from sealroom.errors import MalformedError, UnavailableError

__all__ = ["keep", "kept"]

_PACKAGES = ("sealroom.testing.", "sealroom.tees.")
_ALONE = frozenset({"sealroom.evidence"})
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def keep(value: object, path: Path) -> None:
    """Write ``value`` to ``path``, for the owner's eyes alone, whole or not at all.

    Raises:
        UnavailableError: ``simulated.store``.
        TypeError: it holds something that can not be kept.
    """
    written = _Writer()
    root = written.form(value)
    text = json.dumps({"objects": written.objects, "root": root})
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(part).replace(path)
    except OSError as reason:
        raise UnavailableError("simulated.store", f"the simulated machine can not be kept: {reason.strerror}",
                               where=str(path)) from None  # fmt: skip


def kept(path: Path) -> Any:
    """What was written to ``path``.

    Raises:
        UnavailableError: ``simulated.store``: there is none.
        MalformedError: ``simulated.store``: the file is damaged.
    """
    try:
        document = json.loads(path.read_bytes())
        return _Reader(document["objects"]).value(document["root"])
    except OSError as reason:
        raise UnavailableError("simulated.store", f"there is no simulated machine: {reason.strerror}",
                               where=str(path), hint="`sealroom simulate DIR` makes one") from None  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError, ImportError, RecursionError) as reason:
        raise MalformedError("simulated.store", f"the simulated machine is damaged ({type(reason).__name__})",
                             where=str(path), hint="remove the folder, and make it anew") from None  # fmt: skip


class _Writer:
    """Values as JSON; objects stand in a table, each once, and are meant by their number."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def form(self, value: object) -> Any:
        match value:
            case Enum():  # before text and numbers: it may be one of these too
                found: Any = {"enum": _name(type(value)), "is": value.name}
            case None | bool() | str() | int():
                found = value
            case bytes():
                found = {"bytes": value.hex()}
            case datetime():
                found = {"time": value.isoformat()}
            case tuple() | list():
                found = {"list": [self.form(one) for one in value]}
            case frozenset() | set():
                found = {"set": [self.form(one) for one in value]}
            case Mapping():
                found = {"map": [[self.form(name), self.form(one)] for name, one in value.items()]}
            case _:
                found = {"object": self._number(value)}
        return found

    def _number(self, value: object) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.objects)
            self.objects.append(None)
            self.objects[self._numbers[id(value)]] = self._object(value)
        return self._numbers[id(value)]

    def _object(self, value: object) -> Any:
        if isinstance(value, _Key):
            return {"key": value.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()}
        if not is_dataclass(value) or isinstance(value, type):
            raise TypeError(f"{type(value).__name__} can not be kept")
        members = {one.name: self.form(getattr(value, one.name)) for one in fields(value) if one.init}
        return {"type": _name(type(value)), "fields": members}


class _Reader:
    """The same backwards."""

    def __init__(self, objects: list[Any]) -> None:
        self._objects = objects
        self._made: dict[int, Any] = {}

    def value(self, form: Any) -> Any:
        if not isinstance(form, dict):
            return form
        word = next(iter(form), "")
        return _READERS[word](self, form)

    def object(self, form: Any) -> Any:
        number = form["object"]
        if number not in self._made:
            self._made[number] = self._new(self._objects[number])
        return self._made[number]

    def _new(self, form: Any) -> Any:
        if "key" in form:
            # the library's check of an RSA-4096 key takes a quarter of a second; these files are our own
            return load_pem_private_key(form["key"].encode(), password=None, unsafe_skip_rsa_key_validation=True)
        if not is_dataclass(made := _type(form["type"])):
            raise TypeError(form["type"])
        new: Callable[..., Any] = made
        return new(**{name: self.value(one) for name, one in form["fields"].items()})


_READERS: Mapping[str, Callable[[_Reader, Any], Any]] = {
    "bytes": lambda _, form: bytes.fromhex(form["bytes"]),
    "time": lambda _, form: datetime.fromisoformat(form["time"]),
    "enum": lambda _, form: _enum(form),
    "list": lambda reader, form: tuple(reader.value(one) for one in form["list"]),
    "set": lambda reader, form: frozenset(reader.value(one) for one in form["set"]),
    "map": lambda reader, form: {reader.value(name): reader.value(one) for name, one in form["map"]},
    "object": lambda reader, form: reader.object(form),
}


def _enum(form: Any) -> Enum:
    made = _type(form["enum"])
    if not issubclass(made, Enum):
        raise TypeError(form["enum"])
    found: Enum = made[form["is"]]
    return found


def _name(made: type) -> str:
    return f"{made.__module__}:{made.__qualname__}"


def _type(name: str) -> type[Any]:
    module, _, inner = name.partition(":")
    if not (module.startswith(_PACKAGES) or module in _ALONE) or not inner.isidentifier():
        raise ValueError(name)
    found = getattr(importlib.import_module(module), inner)
    if not isinstance(found, type) or found.__module__ != module:
        raise TypeError(name)
    return found
