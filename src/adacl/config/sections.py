"""Frozen dataclasses that check their types and ranges, and convert to and from dictionaries.

A range stands beside its field, as ``epochs: Annotated[int, at_least(1)] = 10``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from adacl.errors import ConfigError

T = TypeVar("T")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Rule:
    """A condition on a value beyond its type, in words that follow "need" and as a function."""

    words: str
    holds: Callable[[Any], bool]


def _comparison(words: str, holds: Callable[[Any, Any], bool]) -> Callable[[float], Rule]:
    return lambda bound: Rule(f"{words} {bound:g}", lambda value: holds(value, bound))


at_least, above = _comparison("at least", operator.ge), _comparison("more than", operator.gt)
at_most, below = _comparison("at most", operator.le), _comparison("less than", operator.lt)
ODD = Rule("an odd number", lambda value: value % 2 == 1)
SOME = Rule("at least one", bool)
ORDERED = Rule("the lower end first", lambda ends: ends[0] <= ends[1])
Natural = Annotated[int, at_least(0)]
Count = Annotated[int, at_least(1)]
Share = Annotated[float, at_least(0), below(1)]


def require(condition: bool, message: str) -> None:
    """Raise ``ConfigError`` with a message unless a condition holds."""
    if not condition:
        raise ConfigError(message)


MOST = (1 << 63) - 1
"""The largest whole number that NumPy and PyTorch take."""


def finite(name: str, value: Any, above: float = -math.inf) -> float:
    """Return a value as a finite number.

    Parameters
    ----------
    name
        What the value is, for the message.
    value
        A number, or a text that is one.
    above
        The number must be higher than this.

    Raises
    ------
    ConfigError
        If it is not.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > above):
        least = f" above {above:g}" if math.isfinite(above) else ""
        raise ConfigError(f"{name}: need a finite number{least}, got {value}")
    return number


@dataclass(frozen=True)
class Section:
    """A part of the configuration that checks the types and ranges of its fields."""

    def __init_subclass__(cls, name: str) -> None:
        cls._prefix = f"{name}." if name else ""

    _prefix: ClassVar[str]

    def __post_init__(self) -> None:
        for name, hint in settings(type(self)).items():
            object.__setattr__(self, name, _cast(hint, getattr(self, name), self._prefix + name))
        self._check()

    def _check(self) -> None:
        """Check what concerns several fields."""


_hints: Callable[[Any], dict[str, Any]] = functools.cache(
    functools.partial(get_type_hints, include_extras=True)
)


def settings(cls: Any) -> dict[str, Any]:
    """Return the settings of a section and their types: all fields that count in comparisons."""
    hints = _hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.compare}


def plain(value: Any) -> Any:
    """Return dataclasses, mappings and sequences as dictionaries and lists."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.compare
        }
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
    known = sorted(settings(cls))
    unknown = sorted(set(tree) - set(known))
    if unknown:
        raise ConfigError(f"{where}{unknown[0]}: unknown setting; known are {', '.join(known)}")
    return cls(**tree)


def _cast(hint: Any, value: Any, where: str) -> Any:
    """Check ``value`` against a type hint; lists become tuples, ints floats where one is due.

    Numbers of NumPy, as a grid search draws them, become those of Python.
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        value = _of_python(value)
    if origin is Annotated:
        value = _cast(args[0], value, where)
        if not all(rule.holds(value) for rule in args[1:]):
            words = " and ".join(rule.words for rule in args[1:])
            raise ConfigError(f"{where}: need {words}, got {plain(value)!r}")
        return value
    if origin is Literal:
        for choice in args:  # a number of NumPy, or true, is equal to one of them, and none
            if _is_same(_of_python(value), choice):
                return choice
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where + ".")  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list | tuple):
        items = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(items) == len(value):
            return tuple(_cast(h, v, where) for h, v in zip(items, value, strict=True))
    elif origin is Mapping and isinstance(value, Mapping):
        return {str(k): _cast(args[1], v, f"{where}.{k}") for k, v in value.items()}
    elif (hint is Any and _all_finite(value)) or (hint is bool and isinstance(value, bool)):
        return value
    elif hint is float and isinstance(value, Real) and not isinstance(value, bool):
        if _all_finite(value):
            return float(value)
    elif hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        if -MOST <= int(value) <= MOST:
            return int(value)
    elif hint is str and isinstance(value, str):
        return value
    raise ConfigError(f"{where}: need {type_words(hint)}, got {value!r}")


def _is_same(value: Any, choice: int | str) -> bool:
    """Tell whether a value is a choice, in its type, too: true is not 1, nor is 1.0."""
    return isinstance(value, type(choice)) and not isinstance(value, bool) and value == choice


def _of_python(value: Any) -> Any:
    """Return arrays and numbers of NumPy, also those in lists, as lists and numbers of Python."""
    if isinstance(value, list | tuple):
        return type(value)(map(_of_python, value))
    return value.tolist() if hasattr(value, "tolist") else value


def _all_finite(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_all_finite, value))
    try:
        return not isinstance(value, Real) or math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def type_words(hint: Any) -> str:
    """Return a type hint in words that follow "need"."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(args[0])
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (tuple, Mapping):
        item, of, rest = type_words(args[origin is Mapping]).removeprefix("a ").partition(" of ")
        count = f"{len(args)} " if origin is tuple and args[-1] is not Ellipsis else ""
        form = "list" if origin is tuple else "table"
        return f"a {form} of {count}{item}s{of}{rest}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(
        hint, "a value"
    )
