"""The reader: shapes, loss, saving, and that it learns."""

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.qa import MultiSpanReader, decode, generate
from hgr_tf.qa.answers import read_with
from hgr_tf.qa.batches import WindowBatches
from hgr_tf.qa.loss import reader_loss
from hgr_tf.qa.metrics import score
from hgr_tf.qa.multi_span_reader import LOSS_WEIGHTS
from hgr_tf.qa.reports import ReportOptions
from hgr_tf.qa.tokenization import OffsetTokenizer
from hgr_tf.qa.windows import WindowOptions, cut_windows, model_inputs
from tests.qa.tiny import bert_tokenizer

if not KERAS_3 and not tf.__version__.startswith("2.15"):
    pytest.skip("question answering does not work on tf-keras", allow_module_level=True)

OPTIONS = WindowOptions(max_length=192, overlap=16, max_question=24)


@tf.keras.utils.register_keras_serializable("tests")
class Encoder(tf.keras.layers.Layer):
    """A user's own encoder: embeddings, and a convolution each way."""

    def __init__(self, size=600, width=64, **kwargs):
        super().__init__(**kwargs)
        self.size, self.width = size, width
        self.table = tf.keras.layers.Embedding(size, width)
        self.rnn = tf.keras.layers.Bidirectional(
            tf.keras.layers.GRU(width // 2, return_sequences=True)
        )

    def call(self, inputs, training=None):
        del training
        mask = tf.cast(inputs["padding_mask"], tf.float32)[..., None]
        return self.rnn(self.table(inputs["token_ids"]) * mask)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "width": self.width}


def inputs(tokens=12, rows=3):
    random = np.random.default_rng(0)
    ones = np.ones((rows, tokens), np.int32)
    context = ones.copy()
    context[:, :4] = context[:, -1] = 0
    ids = random.integers(0, 600, (rows, tokens)).astype(np.int32)
    return {
        "token_ids": ids,
        "segment_ids": context,
        "padding_mask": ones,
        "context_mask": context,
    }


@pytest.mark.parametrize(("tagging", "tags"), [("bio", 3), ("io", 2)])
def test_outputs_are_named_and_spans_lie_in_the_text(tagging, tags):
    outputs = MultiSpanReader(Encoder(), tagging)(inputs())
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {
        "tags": (3, 12, tags),
        "start": (3, 12),
        "end": (3, 12),
        "answer_type": (3, 3),
    }
    likely = tf.nn.softmax(outputs["start"]).numpy()
    assert (likely[:, [1, 2, 3, 11]] == 0).all()
    assert (likely[:, [0, 4, 10]] > 0).all()


@pytest.mark.parametrize(
    "arguments", [{"tagging": "bioes"}, {"loss_weights": {"tag_loss": 1.0}}]
)
def test_unknown_arguments_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        MultiSpanReader(Encoder(), **arguments)


def test_loss_of_a_hand_case():
    logits = {
        "tags": tf.math.log([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]]),
        "start": tf.math.log([[0.3, 0.7]]),
        "end": tf.math.log([[0.4, 0.6]]),
        "answer_type": tf.math.log([[0.2, 0.5, 0.3]]),
    }
    targets = {
        "tags": np.array([[-1, 1]]),
        "spans": np.array([[[0, 0], [1, 1], [-1, -1]]]),
        "answer_type": np.array([1]),
    }
    terms = {k: float(v) for k, v in reader_loss(targets, logits).items()}
    assert terms["tags_loss"] == pytest.approx(-np.log(0.8), rel=1e-5)
    both = 0.3 * 0.4 + 0.7 * 0.6  # either span is right
    assert terms["span_loss"] == pytest.approx(-np.log(both), rel=1e-5)
    assert terms["type_loss"] == pytest.approx(-np.log(0.5), rel=1e-5)


def test_loss_of_a_batch_without_tags_is_defined():
    targets = {
        "tags": -np.ones((1, 2), int),
        "spans": np.zeros((1, 1, 2), int),
        "answer_type": np.zeros(1, int),
    }
    logits = {
        "tags": tf.zeros((1, 2, 3)),
        "start": tf.zeros((1, 2)),
        "end": tf.zeros((1, 2)),
        "answer_type": tf.zeros((1, 3)),
    }
    assert float(reader_loss(targets, logits)["tags_loss"]) == 0


def test_a_saved_reader_is_loaded_with_encoder_and_arguments(tmp_path):
    reader = MultiSpanReader(Encoder(), "io", 0.2, {"span_loss": 0.5})
    before = reader(inputs())
    path = str(tmp_path / "reader.keras")
    reader.save(path)
    loaded = tf.keras.models.load_model(path)
    assert (loaded.tagging, loaded.dropout) == ("io", 0.2)
    assert loaded.loss_weights["span_loss"] == 0.5
    after = loaded(inputs())
    for name, value in before.items():
        np.testing.assert_allclose(value, after[name], atol=1e-6)


@pytest.mark.slow
def test_a_tiny_encoder_overfits_64_questions():
    options = ReportOptions(min_events=2, max_events=4)
    examples = list(generate(64, seed=1, options=options))
    tokenizer = OffsetTokenizer(bert_tokenizer(400))
    batches = WindowBatches(examples, tokenizer, OPTIONS, "bio", 16)
    reader = MultiSpanReader(Encoder(400), dropout=0.0)
    reader.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    epochs = 50
    history = reader.fit(
        batches.shuffled(range(epochs), 0, seed=0),
        epochs=epochs,
        steps_per_epoch=batches.steps,
        verbose=0,
    ).history
    assert set(history) == {"loss", "tags_loss", "span_loss", "type_loss"}
    total = sum(weight * history[name][-1] for name, weight in LOSS_WEIGHTS.items())
    assert history["loss"][-1] == pytest.approx(total, rel=1e-4)
    windows = cut_windows(examples, tokenizer, OPTIONS)
    found = read_with(reader)(model_inputs(windows, tokenizer))
    found = {name: np.asarray(value) for name, value in found.items()}
    for choice in ("both", "tags", "type"):
        predicted = decode(found, windows, examples, choice)
        scores = score(examples, {p.id: p.texts for p in predicted})
        assert scores["exact_match"] > 0.9
