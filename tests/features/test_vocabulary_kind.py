"""Ids that are taken from values unseen for long and given to new ones."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from hgr_tf.features import FeatureEncoding, Learned
from hgr_tf.features.kinds.categorical import Categorical
from tests.prepared import ENCODING


def day(kind, values, before=Learned(), evict_after=2):  # noqa: B008
    column = pa.array(values, pa.string())
    summary = kind.summarize(column, np.ones(len(values), np.int64))
    return kind.learn_reusing(summary, before, evict_after)


def test_the_longest_unseen_value_gives_its_id_first_and_only_where_one_is_needed():
    kind = Categorical()
    first = day(kind, ["a", "a", "b", "b", "c"])
    assert first == Learned(vocabulary=("a", "b", "c"), unseen=(0, 0, 0))
    second = day(kind, ["a", "c", "d"], first)
    assert second == Learned(vocabulary=("a", "b", "c", "d"), unseen=(0, 1, 0, 0))
    third = day(kind, ["a", "d"], second)  # b is old enough, and no value is new
    assert third == Learned(vocabulary=("a", "b", "c", "d"), unseen=(0, 2, 1, 0))
    fourth = day(kind, ["a", "d", "e", "e", "f", "g"], third)
    assert fourth.vocabulary == ("a", "e", "f", "d", "g")
    assert fourth.unseen == (0, 0, 0, 0, 0)
    fifth = day(kind, ["b"], fourth)  # what was evicted comes back as a new value
    assert fifth.vocabulary == ("a", "e", "f", "d", "g", "b")
    assert fifth.unseen == (1, 1, 1, 1, 1, 0)


def test_a_full_vocabulary_takes_new_values_in_the_places_of_old_ones():
    kind = Categorical(max_size=2, min_count=2)
    first = day(kind, ["a", "a", "b", "b"], evict_after=1)
    second = day(kind, ["a", "c", "c", "d", "d", "d", "e"], first, evict_after=1)
    assert second == Learned(vocabulary=("a", "d"), unseen=(0, 0))


def test_a_folder_without_eviction_counts_anew_and_ids_may_still_be_evicted():
    before = Learned(vocabulary=("a", "b"), unseen=(3, 0))
    kind = Categorical()
    summary = kind.summarize(pa.array(["c"]), np.ones(1, np.int64))
    expected = Learned(vocabulary=("a", "b", "c"), unseen=(0, 0, 0))
    assert kind.learn(summary, before) == expected


def test_a_value_that_came_back_at_another_place_is_a_reused_id_there():
    def encoded(learned):
        vocabularies = {**ENCODING.vocabularies, "tags": learned.vocabulary}
        ages = {"tags": learned.unseen} if learned.unseen else {}
        return replace(ENCODING, vocabularies=vocabularies, unseen=ages)

    kind = Categorical()
    monday = Learned(vocabulary=("a", "b", "c"))
    tuesday = day(kind, ["a", "c", "d"], monday, evict_after=1)
    wednesday = day(kind, ["b", "d", "c"], tuesday, evict_after=1)
    assert tuesday.vocabulary == ("a", "d", "c")
    assert wednesday.vocabulary == ("b", "d", "c")
    found = encoded(wednesday).reused_ids("tags", encoded(monday))
    assert found.tolist() == [2, 3]
    found = encoded(wednesday).reused_ids("tags", encoded(tuesday))
    assert found.tolist() == [2]


def test_ids_are_those_of_a_vocabulary_that_grew_or_the_fault_is_named(tmp_path):
    def other(values, **unseen):
        vocabularies = {**ENCODING.vocabularies, "tags": values}
        return FeatureEncoding(
            ENCODING.spec,
            vocabularies,
            ENCODING.boundaries,
            ENCODING.moments,
            unseen,
        )

    old = ENCODING.vocabularies["tags"]
    assert not len(other((*old, "new")).reused_ids("tags", ENCODING))
    reused = (old[0], "new", *old[2:], "newer")
    grown = other(reused, tags=(0,) * 6)
    assert grown.reused_ids("tags", ENCODING).tolist() == [3]
    assert grown == other(reused)  # ids mean the same
    swapped = other((old[1], old[0], *old[2:]), tags=(0,) * 5)
    assert swapped.reused_ids("tags", ENCODING).tolist() == [2, 3]
    for wrong, fault in (
        (other(reused), "the id 3 is 'new' there instead of 'tag1', and no id"),
        (other(old[:-1], tags=(0,) * 4), "but has 4 alone"),
    ):
        with pytest.raises(ValueError, match=f"'tags' must begin with the 5 .*{fault}"):
            wrong.reused_ids("tags", ENCODING)
    with pytest.raises(ValueError, match="`unseen` of 'tags' must have a number"):
        other(old, tags=(1,))
    grown.save(tmp_path)
    assert FeatureEncoding.load(tmp_path).unseen == {"tags": (0,) * 6}
