"""Spans survive from characters to tokens and back, whatever the text and windows."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from pydantic import ValidationError

from hgr_tf.qa import OffsetTokenizer, QAExample, cut_windows
from hgr_tf.qa.targets import tag_spans, window_targets
from hgr_tf.qa.windows import WindowOptions, model_inputs
from tests.qa.tiny import TOKENIZERS

OPTIONS = WindowOptions(max_length=40, overlap=12, max_question=8)
WORDS = [
    "Ann",
    "Bo",
    "ann",
    "10:45",
    "Zoë",
    "东京",
    "naïve",
    "🙂🙃",
    "e\u0301te",
    "İst",
    "x,y",
]


@pytest.fixture(scope="module", params=sorted(TOKENIZERS))
def tokenizer(request):
    return OffsetTokenizer(TOKENIZERS[request.param]())


@st.composite
def examples(draw):
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
    gaps = draw(st.lists(st.sampled_from([" ", "  ", "\n", "\u00a0"]), min_size=40))
    text, spans = "", []
    for word, gap in zip(words, gaps, strict=False):
        text += gap
        if draw(st.integers(0, 4)) == 0:
            spans.append((len(text), len(text) + len(word)))
        text += word
    return QAExample("q", "Who was it ?", text, tuple(spans))


@given(example=examples())
def test_spans_of_words_are_tagged_in_some_window_and_read_back(tokenizer, example):
    windows = cut_windows([example], tokenizer, OPTIONS)
    length = OPTIONS.max_length
    targets = window_targets(windows, [example], length)
    found = set()
    for window, tags in zip(windows, targets["tags"], strict=True):
        assert len(window.token_ids) <= length
        spans = [window.characters(*span) for span in tag_spans(np.maximum(tags, 0))]
        assert set(spans) <= set(example.spans)
        found |= set(spans)
    assert found == set(example.spans)


@given(example=examples())
def test_windows_hold_every_token_and_share_the_overlap(tokenizer, example):
    (whole,) = tokenizer.encode([example.context])
    windows = cut_windows([example], tokenizer, OPTIONS)
    joined = list(windows[0].offsets)
    for window in windows[1:]:
        assert window.offsets[: OPTIONS.overlap] == joined[-OPTIONS.overlap :]
        joined += window.offsets[OPTIONS.overlap :]
    assert joined == whole.offsets


@given(text=st.text(max_size=60))
def test_offsets_are_ascending_parts_of_any_text(tokenizer, text):
    (tokens,) = tokenizer.encode([text])
    for start, end in tokens.offsets:
        assert text[start:end] == text[start:end].strip() != ""
    assert tokens.offsets == sorted(tokens.offsets)


def test_a_repeated_answer_keeps_its_place(tokenizer):
    example = QAExample("q", "Who?", "Ann saw Ann.", ((8, 11),))
    (window,) = cut_windows([example], tokenizer)
    assert window.characters(*window.token_span((8, 11))) == (8, 11)
    tags = window_targets([window], [example], 64)["tags"][0]
    assert [window.characters(*s) for s in tag_spans(np.maximum(tags, 0))] == [(8, 11)]


def test_places_as_good_as_the_answer_are_not_learned_as_wrong(tokenizer):
    example = QAExample("q", "Who?", "Ann saw Ann.", ((8, 11),), (((0, 3),),))
    (window,) = cut_windows([example], tokenizer)
    targets = window_targets([window], [example], 64)
    first, last = window.token_span((0, 3))
    assert set(targets["tags"][0, first : last + 1]) == {-1}
    assert len(targets["spans"][0]) == 2


def test_a_window_without_the_answer_is_of_no_answer(tokenizer):
    context = "Ann " + "Bo " * 60
    example = QAExample("q", "Who?", context, ((0, 3),))
    windows = cut_windows([example], tokenizer, OPTIONS)
    targets = window_targets(windows, [example], OPTIONS.max_length)
    assert targets["answer_type"].tolist() == [1, *[0] * (len(windows) - 1)]
    assert targets["spans"][1:, 0].tolist() == [[0, 0]] * (len(windows) - 1)


def test_inputs_mark_question_text_and_padding(tokenizer):
    example = QAExample("q", "Who?", "Ann", ())
    (window,) = cut_windows([example], tokenizer)
    inputs = model_inputs([window], tokenizer, 20)
    size = len(window.token_ids)
    assert inputs["padding_mask"].sum() == size
    assert inputs["context_mask"].sum() == len(window.offsets)
    assert (inputs["token_ids"][0, size:] == tokenizer.pad_id).all()
    expected = size - window.first if tokenizer.style == "bert" else 0
    assert inputs["segment_ids"].sum() == expected


def test_io_tags_join_what_is_adjacent(tokenizer):
    example = QAExample("q", "Who?", "Ann Bo", ((0, 3), (4, 6)))
    (window,) = cut_windows([example], tokenizer)
    tags = window_targets([window], [example], 64, "io")["tags"][0]
    spans = tag_spans(np.maximum(tags, 0), "io")
    assert [window.characters(*span) for span in spans] == [(0, 6)]


def test_an_overlap_that_leaves_no_step_is_refused():
    with pytest.raises(ValidationError, match="`overlap` must be less than"):
        WindowOptions(max_length=40, overlap=30, max_question=16)


def test_a_tokenizer_of_another_kind_is_refused():
    import tokenizers

    other = tokenizers.Tokenizer(tokenizers.models.BPE())
    with pytest.raises(ValueError, match="special tokens of BERT"):
        OffsetTokenizer(other)


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no tokenizer\.json there"):
        OffsetTokenizer.load(tmp_path)
