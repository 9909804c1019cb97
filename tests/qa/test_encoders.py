"""Encoders of local folders: BERT's and RoBERTa's, with weights."""

import json

import numpy as np
import pytest
import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.qa import MultiSpanReader, build_encoder
from hgr_tf.qa.encoders import encoder_folder as find_folder
from tests.qa.tiny import encoder_folder, random_weights

if not KERAS_3 and not tf.__version__.startswith("2.15"):
    pytest.skip("question answering does not work on tf-keras", allow_module_level=True)
keras_models = pytest.importorskip(
    "keras_hub.models" if KERAS_3 else "keras_nlp.models",
    reason="the extra qa is not installed",
)

STYLES = ("bert", "roberta")


@pytest.fixture(scope="module", params=STYLES)
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoders") / request.param
    return encoder_folder(path, request.param, weights=True, num_hidden_layers=2)


def ids():
    random = np.random.default_rng(0)
    return {
        "token_ids": random.integers(5, 400, (2, 9)).astype(np.int32),
        "segment_ids": np.repeat([[0] * 4 + [1] * 5], 2, 0).astype(np.int32),
        "padding_mask": np.repeat([[1] * 7 + [0] * 2], 2, 0).astype(np.int32),
        "context_mask": np.repeat([[0] * 4 + [1] * 3 + [0] * 2], 2, 0).astype(np.int32),
    }


def states(encoder):
    inputs = {name: ids()[name] for name in encoder.input}
    outputs = encoder(inputs)
    return np.asarray(
        outputs["sequence_output"] if "segment_ids" in inputs else outputs
    )


def reference(folder):
    """The encoder as the Hugging Face layout defines it, in NumPy."""
    config = json.loads((folder / "config.json").read_text())
    prefix = config["model_type"] + "."
    w = {k.removeprefix(prefix): v for k, v in random_weights(config).items()}
    width, heads = config["hidden_size"], config["num_attention_heads"]
    epsilon = 1e-12 if config["model_type"] == "bert" else 1e-5
    inputs = ids()

    def normed(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def gelu(x):
        return np.asarray(tf.nn.gelu(x, approximate=False))

    tokens = inputs["token_ids"].shape[1]
    x = w["embeddings.word_embeddings.weight"][inputs["token_ids"]]
    first = 2 if config["model_type"] == "roberta" else 0
    x = x + w["embeddings.position_embeddings.weight"][first : first + tokens]
    if config["model_type"] == "bert":
        x = x + w["embeddings.token_type_embeddings.weight"][inputs["segment_ids"]]
    x = normed(x, "embeddings")
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}"
        q, k, v = (
            dense(x, f"{layer}.attention.self.{name}")
            .reshape(2, tokens, heads, width // heads)
            .transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
        scores = np.where(inputs["padding_mask"][:, None, None], scores, -1e9)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = weights / weights.sum(-1, keepdims=True) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(2, tokens, width)
        x = normed(
            x + dense(mixed, f"{layer}.attention.output.dense"),
            f"{layer}.attention.output",
        )
        inner = gelu(dense(x, f"{layer}.intermediate.dense"))
        x = normed(x + dense(inner, f"{layer}.output.dense"), f"{layer}.output")
    return x


def test_loaded_weights_give_what_the_layout_says(folder):
    found = states(build_encoder(folder))[:, :7]
    np.testing.assert_allclose(found, reference(folder)[:, :7], atol=2e-3)


def test_a_reader_of_either_encoder_is_saved_and_loaded(folder, tmp_path):
    reader = MultiSpanReader(build_encoder(folder))
    before = reader(ids())
    reader.save(str(tmp_path / "reader.keras"))
    after = tf.keras.models.load_model(str(tmp_path / "reader.keras"))(ids())
    for name, value in before.items():
        np.testing.assert_allclose(value, after[name], atol=1e-5)


def test_random_weights_are_another_start(folder):
    different = states(build_encoder(folder, pretrained=False))
    assert np.abs(different - reference(folder)).max() > 0.1


def test_a_folder_without_weights_names_the_way_out(tmp_path):
    folder = encoder_folder(tmp_path / "bert")
    with pytest.raises(ValueError, match="`pretrained: false` starts at random"):
        build_encoder(folder)


def test_weights_of_other_sizes_are_refused_by_name(tmp_path):
    folder = encoder_folder(tmp_path / "bert", weights=True)
    sizes = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**sizes, "hidden_size": 8}))
    with pytest.raises(ValueError, match=r"'embeddings\.word_embeddings\.weight' must"):
        build_encoder(folder)


def test_a_missing_weight_is_refused_by_name(tmp_path):
    folder = encoder_folder(tmp_path / "bert", weights=True)
    sizes = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**sizes, "num_hidden_layers": 2}))
    with pytest.raises(ValueError, match=r"must hold the weight 'encoder\.layer\.1"):
        build_encoder(folder)


def test_another_kind_of_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ValueError, match="`model_type` must be one of"):
        build_encoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="must give 'max_position_embeddings'"):
        build_encoder(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`encoder\.folder` must be 'minilm' or"):
        find_folder(str(tmp_path))
