"""ServingModule: a ranker's signatures over the variables that they read."""

from __future__ import annotations

import re

import tensorflow as tf

from hgr_tf.export.options import ExportOptions
from hgr_tf.export.saving.encoded_features import EncodedFeatures
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.export.saving.score_items import score_items

CLASSES = ("0", "1")


class ServingModule(tf.Module):
    """What a SavedModel of a ranker holds.

    It tracks the tables of the preprocessing and the variables that the
    signatures read; not the Keras model, so that no layer, optimizer or
    training function is saved with it.

    Args:
        ranker: Keras model over a dict of encoded features, giving [B, 1].
        features: How requests become encoded features.
        options: Signatures, outputs and what the ranker gives.
    """

    def __init__(
        self,
        ranker: tf.keras.Model,
        features: RawFeatures | EncodedFeatures,
        options: ExportOptions,
    ):
        super().__init__(name="serving")
        self.features = features
        functions = _Functions(ranker, features, options)
        traced = {name: getattr(functions, name)() for name in options.signatures}
        read = {id(v): v for f in traced.values() for v in f.variables}
        self.ranker_variables = list(read.values())
        # Hidden from tracking: the signatures are saved by their own names.
        self._signatures = lambda: traced

    @property
    def signatures(self) -> dict:
        """Concrete functions by signature name."""
        return self._signatures()


class _Functions:
    """Traces signatures; each method returns a concrete function."""

    def __init__(self, ranker, features, options: ExportOptions):
        self._ranker = ranker
        self._features = features
        self._options = options

    def serving_default(self):
        specs = self._features.tensor_specs()

        def score(raw):
            raw = _with_same_shape(raw, list(specs), 1)
            return self._outputs(self._logits(self._features(raw)))

        return _trace(score, specs)

    def examples(self):
        def score(request):
            return self._outputs(self._logits(self._features.parse(request["inputs"])))

        return _trace(score, _examples_spec())

    def regress(self):
        def regress(request):
            logits = self._logits(self._features.parse(request["inputs"]))
            return {"outputs": tf.sigmoid(logits)}

        return _trace(regress, _examples_spec())

    def classify(self):
        def classify(request):
            logits = self._logits(self._features.parse(request["inputs"]))
            scores = tf.sigmoid(tf.stack([-logits, logits], axis=1))
            classes = tf.tile(tf.constant([CLASSES]), [tf.shape(logits)[0], 1])
            return {"classes": classes, "scores": scores}

        return _trace(classify, _examples_spec())

    def rank(self):
        if isinstance(self._features, EncodedFeatures):
            raise ValueError(
                "the rank signature must know which features are the item's: "
                "`encoding` must be given, got None"
            )
        items = self._features.names("item")
        if not items:
            raise ValueError(
                "the rank signature needs a ranker that takes an item feature, got "
                f"{self._features.names('user', 'context')}"
            )
        requests = self._features.names("user", "context")
        score_rows = score_items(self._ranker, requests)

        def rank(raw):
            raw = _with_same_shape(raw, items, 2)
            raw = _with_same_shape(raw, [*requests, items[0]], 1)
            shape = tf.shape(raw[items[0]])
            flat = {name: tf.reshape(raw[name], [-1]) for name in items}
            scores = score_rows(
                self._features(raw, requests), self._features(flat, items), shape[1]
            )
            return self._outputs(tf.reshape(self._as_logits(scores), shape))

        one = self._features.tensor_specs((None,))
        many = self._features.tensor_specs((None, None))
        return _trace(rank, {n: (many if n in items else one)[n] for n in one})

    def _logits(self, features) -> tf.Tensor:
        return self._as_logits(self._ranker(features, training=False))

    def _as_logits(self, outputs) -> tf.Tensor:
        outputs = tf.reshape(tf.cast(outputs, tf.float32), [-1])
        if self._options.from_logits:
            return outputs
        return tf.math.log(outputs) - tf.math.log1p(-outputs)

    def _outputs(self, logits) -> dict[str, tf.Tensor]:
        outputs = {"probabilities": tf.sigmoid(logits)}
        if self._options.with_logits:
            outputs["logits"] = logits
        return outputs


def _trace(function, specs: dict[str, tf.TensorSpec]):
    """Concrete function whose inputs are named as in `specs`."""
    for name in specs:
        # TensorFlow would rename such an input without a word.
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ValueError(
                "a feature's name must be letters, digits and '_', from a letter on, "
                f"to name a serving input; got {name!r}"
            )
    traced = tf.function(lambda **inputs: function(inputs))
    return traced.get_concrete_function(**specs)


def _with_same_shape(raw, names: list[str], dims: int) -> dict[str, tf.Tensor]:
    """`raw`, once its `names` are known to agree in the first `dims` sizes.

    A ranker that multiplies embeddings would broadcast a tensor of one row.
    """
    by_dtype = {}
    for name in names:
        by_dtype.setdefault(raw[name].dtype, []).append(raw[name])
    # Few ops for many inputs: an op costs more than what it does here.
    shapes = [s for tensors in by_dtype.values() for s in tf.shape_n(tensors)]
    sizes = tf.stack([s if s.shape == [dims] else s[:dims] for s in shapes])
    equal = tf.reduce_all(sizes == sizes[:1])
    message = f"these inputs must have equal sizes: {', '.join(names)}"
    check = tf.raw_ops.Assert(condition=equal, data=[message, sizes])
    with tf.control_dependencies([check]):
        return dict(zip(raw, tf.identity_n(list(raw.values())), strict=True))


def _examples_spec() -> dict[str, tf.TensorSpec]:
    return {"inputs": tf.TensorSpec([None], tf.string, name="inputs")}
