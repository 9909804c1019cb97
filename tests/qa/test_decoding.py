"""Decoding: against all paths and all spans, and over windows."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given

from hgr_tf.qa import QAExample, decode
from hgr_tf.qa.targets import tag_spans
from hgr_tf.qa.window_answers import best_spans, viterbi, window_answers
from hgr_tf.qa.windows import Window

SEEDS = st.integers(0, 2**31)


@given(seed=SEEDS, tokens=st.integers(1, 6), tags=st.sampled_from([2, 3]))
def test_viterbi_finds_the_best_of_all_allowed_paths(seed, tokens, tags):
    scores = np.random.default_rng(seed).normal(size=(1, tokens, tags))

    def allowed(path):
        pairs = zip((0, *path), path, strict=False)
        return tags == 2 or not any(a == 0 and b == 2 for a, b in pairs)

    paths = filter(allowed, itertools.product(range(tags), repeat=tokens))
    best = max(paths, key=lambda path: sum(scores[0, range(tokens), path]))
    assert viterbi(tf.constant(scores))[0].numpy().tolist() == list(best)


@given(seed=SEEDS, tokens=st.integers(1, 7), most=st.integers(1, 4))
def test_best_span_is_the_best_of_all_spans(seed, tokens, most):
    random = np.random.default_rng(seed)
    start, end = random.normal(size=(2, 1, tokens))
    context = random.integers(0, 2, (1, tokens))
    found = best_spans(start, end, context == 1, most)
    spans, scores = (tensor.numpy() for tensor in found)
    possible = [
        (start[0, i] + end[0, j], i, j)
        for i, j in itertools.product(range(tokens), repeat=2)
        if context[0, i] and context[0, j] and i <= j < i + most
    ]
    if not possible:
        assert scores[0] == -np.inf
    else:
        assert (scores[0], *spans[0]) == pytest.approx(max(possible))


def test_tags_outside_of_the_text_are_outside():
    logits = outputs(({0: 1, 2: 1, 5: 1}, (2, 2), 1))
    found = window_answers(logits, np.array([[0, 1, 1, 1, 1, 0]]))
    assert found["tags"].numpy().tolist() == [[0, 0, 1, 0, 0, 0]]
    assert found["tag_scores"].numpy()[0] == pytest.approx(np.ones(6), abs=1e-3)


def test_a_window_without_text_has_no_span():
    found = window_answers(outputs(({}, (2, 2), 1)), np.zeros((1, 6), int))
    assert found["span_score"].numpy() == 0


@pytest.mark.parametrize(
    ("tags", "tagging", "spans"),
    [
        ([1, 2, 1, 0, 1], "bio", [(0, 1), (2, 2), (4, 4)]),
        ([1, 1, 0, 1], "io", [(0, 1), (3, 3)]),
        ([1, 1], "bio", [(0, 0), (1, 1)]),
        ([0, 0], "bio", []),
    ],
)
def test_tags_become_spans(tags, tagging, spans):
    assert tag_spans(np.array(tags), tagging) == spans


CONTEXT = "Ann Bo Cy Di"
OFFSETS = [(0, 3), (4, 6), (7, 9), (10, 12)]
EXAMPLE = QAExample("q", "Who?", CONTEXT)


def outputs(*windows):
    """Outputs that are nearly certain: tags, best span, type of each window."""
    size = 6
    found = {
        "tags": np.zeros((len(windows), size, 3), np.float32),
        "start": np.zeros((len(windows), size), np.float32),
        "end": np.zeros((len(windows), size), np.float32),
        "answer_type": np.zeros((len(windows), 3), np.float32),
    }
    found["tags"][:, :, 0] = 9
    for row, (tags, best, kind) in enumerate(windows):
        for token, tag in tags.items():
            found["tags"][row, token, tag] = 18
        found["start"][row, best[0]] = found["end"][row, best[1]] = 9
        found["answer_type"][row, kind] = 9
    return found


def whole():
    return Window(0, [0] * 6, 1, OFFSETS)


def texts(logits, windows, choice):
    context = np.zeros((len(windows), 6), np.int32)
    for row, window in enumerate(windows):
        context[row, window.first : window.last] = 1
    found = {k: v.numpy() for k, v in window_answers(logits, context).items()}
    (prediction,) = decode(found, windows, [EXAMPLE], choice)
    assert prediction.texts == EXAMPLE.texts(prediction.spans)
    assert all(0 < score <= 1 for score in prediction.scores)
    return prediction.texts


@pytest.mark.parametrize(
    ("kind", "by_type"), [(0, ()), (1, ("Cy Di",)), (2, ("Ann Bo", "Cy"))]
)
def test_the_type_head_chooses_between_nothing_the_span_and_the_tags(kind, by_type):
    found = outputs(({1: 1, 2: 2, 3: 1}, (3, 4), kind))
    assert texts(found, [whole()], "type") == by_type
    assert texts(found, [whole()], "tags") == ("Ann Bo", "Cy")
    assert texts(found, [whole()], "span") == ("Cy Di",)
    by_both = ("Cy Di",) if kind == 1 else ("Ann Bo", "Cy")
    assert texts(found, [whole()], "both") == by_both


def test_the_first_token_stands_for_no_answer():
    assert texts(outputs(({}, (0, 0), 0)), [whole()], "span") == ()


def test_answers_of_windows_are_joined_and_the_likelier_of_two_that_overlap_stays():
    left, right = Window(0, [0] * 6, 1, OFFSETS[:3]), Window(0, [0] * 6, 1, OFFSETS[1:])
    found = outputs(({1: 1, 3: 1}, (1, 1), 2), ({1: 1, 2: 2, 3: 1}, (3, 3), 2))
    found["tags"][1, 2, 2] = 9.5  # "Bo Cy" is less sure than "Cy"
    assert texts(found, [left, right], "tags") == ("Ann", "Cy", "Di")
    assert texts(found, [left, right], "type") == ("Ann", "Cy", "Di")


def test_a_window_of_no_answer_does_not_hide_that_of_another():
    left, right = Window(0, [0] * 6, 1, OFFSETS[:2]), Window(0, [0] * 6, 1, OFFSETS[2:])
    found = outputs(({}, (0, 0), 0), ({2: 1}, (2, 2), 1))
    for choice in ("both", "tags", "type", "span"):
        assert texts(found, [left, right], choice) == ("Di",)


def test_a_text_without_tokens_has_no_answer():
    empty = Window(0, [0] * 6, 1, [])
    for choice in ("both", "tags", "type", "span"):
        assert texts(outputs(({}, (1, 1), 1)), [empty], choice) == ()


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="`choice` must be one of"):
        decode({}, [whole()], [EXAMPLE], "best")
