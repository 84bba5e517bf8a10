"""Frozen dataclasses that check their own types, and their way to and from plain dictionaries."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from adacl.errors import ConfigError

__all__ = ["Section", "build", "plain", "require"]

T = TypeVar("T")


def require(condition: bool, message: str) -> None:
    """Raise ``ConfigError`` with a message unless a condition holds."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class Section:
    """A part of the tree: checks the types of its fields, then what ``_check`` adds."""

    def __init_subclass__(cls, name: str) -> None:
        cls._prefix = f"{name}." if name else ""

    _prefix: ClassVar[str]

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is not ClassVar:
                value = _cast(hint, getattr(self, name), self._prefix + name)
                object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        """Check what types cannot say."""


def plain(value: Any) -> Any:
    """Return dataclasses, mappings and sequences as dictionaries and lists."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def build(cls: type[T], tree: Any, where: str = "") -> T:
    """Build a section from a dictionary; ``where`` is its address, for messages.

    Raises
    ------
    ConfigError
        If a setting is unknown, of the wrong type or out of range.
    """
    if isinstance(tree, cls):
        return tree
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where.rstrip('.') or 'configuration'}: need a table, got {tree!r}")
    known = sorted(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]
    unknown = sorted(set(tree) - set(known))
    if unknown:
        raise ConfigError(f"{where}{unknown[0]}: unknown setting; known are {', '.join(known)}")
    return cls(**tree)


def _cast(hint: Any, value: Any, where: str) -> Any:
    """Check ``value`` against a type hint, turning lists into tuples and ints into floats."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where + ".")  # type: ignore[arg-type]
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(f"{where}: need one of {', '.join(map(str, args))}, got {value!r}")
    if origin in (Union, types.UnionType):
        return None if value is None else _cast(args[0], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        items = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(items) == len(value):
            return tuple(_cast(h, v, where) for h, v in zip(items, value, strict=True))
    elif origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {str(k): _cast(args[1], v, f"{where}.{k}") for k, v in value.items()}
    elif hint is Any or (hint is bool and isinstance(value, bool)):
        return value
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif hint in (int, str) and isinstance(value, hint) and not isinstance(value, bool):
        return value
    name = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise ConfigError(f"{where}: need {name}, got {value!r}")
