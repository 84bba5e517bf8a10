"""Images that belong together, so that one of them tells little more than another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from adacl.data.copies import Indices
from adacl.errors import ConfigError, DataError
from adacl.files import resolved

FOLDER = "folder"
"""The rule by which images of one folder belong together."""


def check_rule(rule: str) -> re.Pattern[str] | None:
    """Return the pattern of a rule, or None for ``folder``.

    Raises
    ------
    ConfigError
        If it is no text, empty, or the pattern is not a regular expression.
    """
    if not isinstance(rule, str):
        raise ConfigError(f"group: need folder or a regular expression, got {rule!r}")
    if not rule:
        raise ConfigError("group: the rule is empty; need folder or a regular expression")
    if rule == FOLDER:
        return None
    try:
        return re.compile(rule)
    except re.error as error:
        raise ConfigError(f"group {rule!r}: not a regular expression ({error})") from error


def groups_of(paths: Sequence[Path], rule: str) -> Indices:
    """Return the group (N,) of each image file, as a number.

    Parameters
    ----------
    paths
        Image files.
    rule
        ``folder``: files of one folder belong together. Anything else is a regular expression that
        is searched in the file's name: files with the same match belong together, or with the same
        first bracketed part of it, if there is one.

    Raises
    ------
    ConfigError
        If the rule is empty or not a regular expression.
    DataError
        If it is not found in a file's name.
    """
    pattern = check_rule(rule)
    if pattern is None:  # one folder may be named in several ways, as lists do
        real = cache(resolved)
        return np.unique([str(real(path.parent)) for path in paths], return_inverse=True)[1]
    names = []
    for path in paths:
        match = pattern.search(path.name)
        if match is None:
            raise DataError(
                f"{path}: the name does not match the group pattern {rule!r}; use 'folder', or a "
                "pattern that is found in every name"
            )
        names.append(match[1] if pattern.groups and match[1] is not None else match[0])
    return np.unique(names, return_inverse=True)[1]


def joined(copies: Indices, groups: Indices) -> Indices:
    """Return the unit (N,) of each image: groups that share a copy of an image are one.

    Parameters
    ----------
    copies
        Which distinct image each is (N,), from 0.
    groups
        The group of each (N,), from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes = int(copies.max()) + 1 + int(groups.max()) + 1
    ends = np.stack([copies, int(copies.max()) + 1 + groups]).astype(np.int32)
    links = np.ones(len(copies)), tuple(ends)
    labels = connected_components(coo_array(links, shape=(nodes, nodes)), directed=False)[1]
    return np.unique(labels[copies], return_inverse=True)[1]
