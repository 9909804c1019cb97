"""Generated questions: their answers are right, and their shares what was asked for."""

import re
from collections import Counter

import pytest
from pydantic import ValidationError

from hgr_tf.qa import generate, read_examples
from hgr_tf.qa.reports import ReportOptions, write_reports
from hgr_tf.qa.reports.words import SEEN, UNSEEN


def test_answers_are_what_another_reading_of_the_report_finds():
    asked = re.compile(r"(?:Where did|Which rooms did) (\w+) (?:go|enter)\?")
    told = (r"At \S+ {} entered the ([\w ]+)\.", r"{} walked into the ([\w ]+) at")
    told += (r"saw {} in the ([\w ]+)\.",)
    checked = 0
    for example in generate(600, seed=1):
        if match := asked.fullmatch(example.question):
            patterns = [pattern.format(match.group(1)) for pattern in told]
            found = [m for p in patterns for m in re.finditer(p, example.context)]
            assert set(example.spans) == {m.span(1) for m in found}
            checked += 1
    assert checked > 30


def test_shares_of_types_are_those_of_the_options():
    options = ReportOptions(no_answer=0.2, multi=0.5)
    types = Counter(e.type for e in generate(1000, seed=2, options=options))
    assert types["none"] / 1000 == pytest.approx(0.2, abs=0.05)
    assert types["multi"] / 1000 == pytest.approx(0.5, abs=0.06)


def test_a_seed_gives_the_same_questions_and_another_gives_others():
    assert list(generate(20, seed=3)) == list(generate(20, seed=3))
    assert list(generate(20, seed=3)) != list(generate(20, seed=4))


def test_unseen_words_are_in_no_seen_report():
    for slot, names in SEEN.names.items():
        assert not set(names) & set(UNSEEN.names[slot])
    for templates, others in (
        (SEEN.reports, UNSEEN.reports),
        (SEEN.questions, UNSEEN.questions),
    ):
        assert templates.keys() == others.keys()
        for name in templates:
            assert not set(templates[name]) & set(others[name])
    text = " ".join(e.context + e.question for e in generate(100, seed=5))
    for names in UNSEEN.names.values():
        assert not [name for name in names if re.search(rf"\b{name}\b", text)]


def test_written_splits_hold_different_reports(tmp_path):
    counts = {"train": 30, "val": 20, "test": 20, "unseen": 10}
    files = write_reports(tmp_path, counts, seed=1)
    read = {split: read_examples(path) for split, path in files.items()}
    assert {split: len(found) for split, found in read.items()} == counts
    contexts = [example.context for found in read.values() for example in found]
    assert len(set(contexts)) == sum(counts.values())


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`counts` must be of the splits"):
        write_reports(tmp_path, {"dev": 1})


@pytest.mark.parametrize(
    "options",
    [{"min_events": 9, "max_events": 3}, {"no_answer": 0.7, "multi": 0.7}],
)
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises(ValidationError, match="must be at"):
        ReportOptions(**options)
