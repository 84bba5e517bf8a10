"""Images that belong together: rules for files, and groups joined by copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl.data.groups import groups_of, joined
from adacl.errors import ConfigError, DataError

FILES = [Path("a/kos05_1.png"), Path("a/kos06_1.png"), Path("b/kos05_2.png"), Path("b/x.png")]


def test_a_folder_is_a_group():
    assert groups_of(FILES, "folder").tolist() == [0, 0, 1, 1]
    assert groups_of([Path("a/new/1.png"), Path("b/new/1.png")], "folder").tolist() == [0, 1]


def test_a_folder_that_is_named_in_several_ways_is_one_group(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "lists").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    names = ["a/1.png", "lists/../a/2.png", "link/3.png", "b/4.png"]
    assert groups_of([tmp_path / name for name in names], "folder").tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("rule", [r"kos(\d+)_\d", r"kos\d+", r"\d+_"])
def test_names_that_match_alike_are_a_group(rule):
    assert groups_of(FILES[:3], rule).tolist() == [0, 1, 0]


def test_a_name_that_does_not_match_is_told():
    with pytest.raises(
        DataError, match=r"x\.png.*does not match the group pattern.*; use 'folder', or"
    ):
        groups_of(FILES, r"kos(\d+)")


def test_a_rule_that_is_no_pattern_is_refused():
    with pytest.raises(ConfigError, match="not a regular expression"):
        groups_of(FILES, "(")
    with pytest.raises(ConfigError, match="the rule is empty"):
        groups_of(FILES, "")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20))
def test_images_that_share_a_copy_or_a_group_share_a_unit(pairs):
    copies, groups = (np.unique(part, return_inverse=True)[1] for part in zip(*pairs, strict=True))
    unit = joined(copies, groups)
    for same in (copies, groups):
        for number in np.unique(same):
            assert len(np.unique(unit[same == number])) == 1
    for number in np.unique(unit):
        inside = unit == number
        for same in (copies, groups):
            assert not set(same[inside]) & set(same[~inside])
