"""Where an output differs from the one that is expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from pipeline.worker.differences import differences
from pipeline.worker.served import percentile

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: JsonValue) -> None:
    assert differences(value, value, 0.0, show=True) == ()


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ({"a": 1}, {"a": 2}, "$.a: 1 was expected and 2 came"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "$.a[1]: 2 was expected and 3 came"),
        ({"a": [1]}, {"a": [1, 2]}, "$.a: [1] was expected and [1, 2] came"),
        ({"a": 1}, {}, "$.a: 1 was expected and null came"),
        (True, 1, "$: true was expected and 1 came"),
        ("x", None, '$: "x" was expected and null came'),
    ],
)
def test_a_difference_is_told_with_its_path(was: JsonValue, now: JsonValue, told: str) -> None:
    assert differences(was, now, 0.0, show=True) == (told,)


def test_fields_that_are_not_expected_do_not_count() -> None:
    assert differences({"a": 1}, {"a": 1, "b": 2}, 0.0, show=True) == ()


@pytest.mark.parametrize(("now", "differs"), [(1.05, False), (0.95, False), (1.2, True), ("1", True)])
def test_numbers_may_differ_by_the_tolerance(now: JsonValue, differs: bool) -> None:
    assert bool(differences(1, now, 0.1, show=True)) is differs


@given(st.text(min_size=4).filter(lambda key: key != "scores"), st.text(min_size=4))
def test_neither_values_nor_keys_are_told_unless_asked_for(key: str, value: str) -> None:
    [told] = differences({"scores": {key: value}}, {"scores": {key: 1}}, 0.0, show=False, names={"scores"})
    assert told == "$.scores.*: a number came in place of a text"


def test_many_differences_are_counted() -> None:
    told = differences(list(range(9)), list(range(1, 10)), 0.0, show=True)
    assert (len(told), told[-1]) == (6, "and 4 more")


def test_control_characters_of_a_key_are_escaped() -> None:
    [told] = differences({"a\n::error::": 1}, {}, 0.0, show=True)
    assert told.isprintable()


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([], 0.95) is None
    assert percentile([3.0], 0.5) == 3.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
