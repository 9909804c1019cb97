"""How to make and call each public class and ranker.

A case a name, and further ones as "name: variant" where arguments choose other code.
What is public and not here fails the conformance test. Everything is made in
functions, as some of it cannot be imported on every flavour.
"""

import numpy as np
import tensorflow as tf

import hgr_tf
from hgr_tf.comparing.figures import Predictions, mean_of, ndcg_by_user
from hgr_tf.comparing.first_positive import hit_rate_by_user, mrr_by_user
from hgr_tf.features import USER
from hgr_tf.metrics import group_auc
from tests.models.two_towers import TwoTowers
from tests.prepared import ENCODING, TWO_LABELS

_RANDOM = np.random.default_rng(7)
_ROWS = 16
LABELS = np.tile(np.float32([1, 0, 0, 1]), _ROWS // 4)
LOGITS = _RANDOM.normal(size=_ROWS).astype(np.float32)
PROBABILITIES = _RANDOM.random(_ROWS).astype(np.float32)
CODES = _RANDOM.integers(0, 2, size=(_ROWS, 2)).astype(np.int32)
USERS = _RANDOM.integers(0, 4, size=_ROWS) * 10**12
EMBEDDINGS = _RANDOM.normal(size=(_ROWS, 8)).astype(np.float32)
DECODED = _RANDOM.normal(size=(_ROWS, 8)).astype(np.float32)
FEATURES = {
    "user": USERS // 10**12,
    "age": _RANDOM.integers(0, 4, _ROWS),
    "item": _RANDOM.integers(0, 9, _ROWS),
    "tags": _RANDOM.integers(0, 4, (_ROWS, 3)),
    "price": _RANDOM.normal(size=_ROWS).astype(np.float32),
    "device": _RANDOM.integers(0, 5, _ROWS),
}


def quantizer(**arguments):
    arguments = {"initializer": "random", "commitment_cost": 0.1, **arguments}
    return hgr_tf.layers.ResidualVectorQuantizer(2, 4, **arguments)


def _built_quantizer():
    made = quantizer()
    made.build((None, 8))
    return made


def _other_quantizer():
    return quantizer(
        initializer="kmeans",
        start_buffer=_ROWS,
        distance="cosine",
        gradient_estimator="rotation",
    )


def group_loss(*arguments):
    return hgr_tf.losses.HierarchicalGroupwiseLoss(2, *arguments)


@tf.keras.utils.register_keras_serializable("tests")
def _mean_margin(lists, labels, logits, shares_of):
    """A listwise loss of one's own: how far positives stay below a logit of 9."""
    targets = lists.weigh(labels)
    margins = lists.sum(targets * (9.0 - lists.mask(logits, 0.0)))
    shares = shares_of(lists.sum(targets))
    return [tf.reduce_sum(m * s) for m, s in zip(margins, shares, strict=True)]


def _groupwise(*arguments):
    return {
        "make": lambda: group_loss(*arguments),
        "inputs": (LABELS, LOGITS, CODES),
    }


KEYS = _RANDOM.normal(size=(_ROWS, 3, 8)).astype(np.float32)
HISTORY = (
    np.minimum(FEATURES["tags"], 1)
    * np.tril(np.ones((3, 3), int))[np.arange(_ROWS) % 3]
)

LAYERS = {
    "CustomizedGateControl": {
        "make": lambda: hgr_tf.layers.CustomizedGateControl(2, hidden_units=(4, 3)),
        "inputs": ([EMBEDDINGS, DECODED, EMBEDDINGS],),
    },
    "CustomizedGateControl: shared gate": {
        "make": lambda: hgr_tf.layers.CustomizedGateControl(2, shared_gate=True),
        "inputs": ([EMBEDDINGS, DECODED, EMBEDDINGS],),
    },
    "Embedding": {
        "make": lambda: hgr_tf.layers.Embedding(9, 4),
        "inputs": (FEATURES["tags"],),
        "watched": (),
    },
    "HistoryEncoder": {
        "make": lambda: hgr_tf.layers.HistoryEncoder(2, max_length=2),
        "inputs": (KEYS, HISTORY),
    },
    "HistoryEncoder: time gaps": {
        "make": lambda: hgr_tf.layers.HistoryEncoder(time_gaps=True),
        "inputs": (KEYS, HISTORY, np.float32([[9, 1, 0]] * _ROWS)),
    },
    "MultiGateMixtureOfExperts": {
        "make": lambda: hgr_tf.layers.MultiGateMixtureOfExperts(2, 3, (4, 3)),
        "inputs": (EMBEDDINGS,),
    },
    "ProbabilityProduct": {
        "make": hgr_tf.layers.ProbabilityProduct,
        "inputs": ([LOGITS[:, None], PROBABILITIES[:, None]],),
    },
    "TargetAttention": {
        "make": hgr_tf.layers.TargetAttention,
        "inputs": (EMBEDDINGS, KEYS, HISTORY),
    },
    "TargetAttention: dot products, not normalized": {
        "make": lambda: hgr_tf.layers.TargetAttention((), normalize=False),
        "inputs": (EMBEDDINGS, KEYS, HISTORY),
    },
    "ResidualVectorQuantizer": {"make": quantizer, "inputs": (EMBEDDINGS,)},
    "ResidualVectorQuantizer: k-means start, angles, rotation": {
        "make": _other_quantizer,
        "inputs": (EMBEDDINGS,),
    },
    "ResidualVectorQuantizer: gradient codebooks": {
        "make": lambda: quantizer(learning="gradient"),
        "inputs": (EMBEDDINGS,),
    },
    "RowEmbedding": {
        "make": lambda: hgr_tf.layers.RowEmbedding(9, 4),
        "inputs": (FEATURES["tags"],),
        "watched": (),
    },
    "SideTower": {
        "make": lambda: hgr_tf.layers.SideTower(5, 2),
        "inputs": (EMBEDDINGS[:, :1], FEATURES["device"]),
        "kwargs": {"training": True},
    },
    "SideTower: a number, no constant": {
        "make": lambda: hgr_tf.layers.SideTower(None, units=(4, 2)),
        "inputs": (EMBEDDINGS[:, :1], FEATURES["price"]),
        "kwargs": {"training": True},
    },
    "UncertaintyWeighting": {
        "make": lambda: hgr_tf.layers.UncertaintyWeighting(3),
        "inputs": (np.float32([0.1, 0.2, 0.3]), np.array([True, True, False])),
        "splits_rows": False,
    },
}

LOSSES = {
    "HierarchicalGroupwiseLoss": _groupwise(),
    "HierarchicalGroupwiseLoss: softmax_ce, learned weights": _groupwise(
        "softmax_ce", "uncertainty"
    ),
    "HierarchicalGroupwiseLoss: pairwise_logistic a list": _groupwise(
        "pairwise_logistic", 1.0, "list"
    ),
    "HierarchicalGroupwiseLoss: jrc a sample": _groupwise("jrc", [0.1, 0.2], "sample"),
    "HierarchicalGroupwiseLoss: list_mle": _groupwise("list_mle"),
    "HierarchicalGroupwiseLoss: lambda_loss, learned weights": _groupwise(
        "lambda_loss", "uncertainty"
    ),
    "ApproxNDCG": {
        "make": lambda: group_loss(hgr_tf.losses.ApproxNDCG(temperature=0.5)),
        "inputs": (LABELS, LOGITS, CODES),
    },
    "ListwiseLoss": _groupwise(_mean_margin),
    "HierarchicalGroupwiseLoss: a loss per level": _groupwise(["softmax_ce", "jrc"]),
    "GroupwiseBaselineLoss": {
        "make": lambda: hgr_tf.losses.GroupwiseBaselineLoss("softmax_ce"),
        "inputs": (LABELS, LOGITS),
    },
}


def _by_user(figure, *arguments):
    """What a figure by user is of the rows here."""
    rows = Predictions(USERS, LABELS, np.ones(_ROWS), LOGITS)
    return mean_of(figure(rows, *arguments))


METRICS = {
    "AreaUnderCurve": {
        "make": lambda: hgr_tf.metrics.AreaUnderCurve(4),
        "inputs": {"y_true": LABELS, "y_pred": PROBABILITIES},
        "expected": float(tf.keras.metrics.AUC(4)(LABELS, PROBABILITIES)),
    },
    "CodebookUsage": {
        "make": lambda: hgr_tf.metrics.CodebookUsage(8, level=2),
        "inputs": {"codes": CODES},
        "expected": 2 / 8,
    },
    "ExpectedCalibrationError": {
        "make": lambda: hgr_tf.metrics.ExpectedCalibrationError(num_bins=1),
        "inputs": {"y_true": LABELS, "y_pred": PROBABILITIES},
        "expected": abs(LABELS.mean() - PROBABILITIES.mean()),
    },
    "ExpiredCodes": {
        "make": lambda: hgr_tf.metrics.ExpiredCodes(level=2),
        "inputs": {"expired": np.int32([1, 3])},
        "expected": 3.0,
        "splits_rows": False,
    },
    "GroupAUC": {
        "make": lambda: hgr_tf.metrics.GroupAUC(),
        "inputs": {"y_true": LABELS, "y_pred": LOGITS, "groups": USERS},
        "expected": group_auc(LABELS, LOGITS, USERS),
        "jit_compile": False,
    },
    "GroupHitRate": {
        "make": lambda: hgr_tf.metrics.GroupHitRate(2),
        "inputs": {"y_true": LABELS, "y_pred": LOGITS, "groups": USERS},
        "expected": _by_user(hit_rate_by_user, 2),
        "jit_compile": False,
    },
    "GroupMRR": {
        "make": lambda: hgr_tf.metrics.GroupMRR(),
        "inputs": {"y_true": LABELS, "y_pred": LOGITS, "groups": USERS},
        "expected": _by_user(mrr_by_user),
        "jit_compile": False,
    },
    "GroupNDCG": {
        "make": lambda: hgr_tf.metrics.GroupNDCG(2),
        "inputs": {"y_true": LABELS, "y_pred": LOGITS, "groups": USERS},
        "expected": _by_user(ndcg_by_user, 2),
        "jit_compile": False,
    },
    "GroupOccupancy": {
        "make": lambda: hgr_tf.metrics.GroupOccupancy(),
        "inputs": {
            "y_true": np.float32([1, 0, 1, 1]),
            "codes": np.array([[0, 0], [0, 1], [1, 0], [1, 0]]),
        },
        "expected": 0.5,
    },
    "Perplexity": {
        "make": lambda: hgr_tf.metrics.Perplexity(4),
        "inputs": {"codes": np.array([[0], [0], [3], [3]])},
        "expected": 2.0,
    },
    "PredictedOverObserved": {
        "make": lambda: hgr_tf.metrics.PredictedOverObserved(),
        "inputs": {"y_true": LABELS, "y_pred": PROBABILITIES},
        "expected": PROBABILITIES.sum() / LABELS.sum(),
    },
    "QuantizationError": {
        "make": lambda: hgr_tf.metrics.QuantizationError(relative=True),
        "inputs": {"embeddings": EMBEDDINGS, "decoded": DECODED},
        "expected": np.square(EMBEDDINGS - DECODED).sum() / np.square(EMBEDDINGS).sum(),
    },
}


PURCHASES = LABELS * np.tile(np.float32([1, 0]), _ROWS // 2)
OF_HEADS = {"click": LABELS, "purchase": PURCHASES}


def _ranker(name, encoding=ENCODING):
    make = getattr(hgr_tf.rankers, name)
    return make(encoding, embedding_dim=4, hidden_units=(8,))


def _plain(name, encoding=ENCODING, labels=LABELS):
    def make():
        model = _ranker(name, encoding)
        log_loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        several = isinstance(labels, dict)
        model.compile("sgd", dict.fromkeys(labels, log_loss) if several else log_loss)
        return model

    return {"make": make, "inputs": FEATURES, "labels": labels}


def _hierarchical(
    make_quantizer, make_loss, make_ranker=None, labels=LABELS, **arguments
):
    if make_ranker is None:
        arguments["user_embedding"] = "user_embedding"

    def make():
        model = hgr_tf.HierarchicalGroupwiseRanker(
            make_ranker() if make_ranker else _ranker("mlp_ranker"),
            quantizer=make_quantizer(),
            ranking_loss=make_loss(),
            **arguments,
        )
        model.compile("adam", metrics=[hgr_tf.metrics.GroupAUC()])
        return model

    return {"make": make, "inputs": {**FEATURES, USER: USERS}, "labels": labels}


def _task():
    return hgr_tf.models.HierarchicalGroupwiseTask(quantizer(), group_loss())


MODELS = {
    "HierarchicalGroupwiseRanker": _hierarchical(
        quantizer, group_loss, quantized_loss_weight=0.5, quantization_dropout=0.25
    ),
    "HierarchicalGroupwiseRanker: k-means start, learned weights": _hierarchical(
        _other_quantizer,
        lambda: group_loss("softmax_ce", "uncertainty"),
        quantized_loss_weight=1.0,
    ),
    "HierarchicalGroupwiseRanker: gradient codebooks": _hierarchical(
        lambda: quantizer(learning="gradient"), lambda: group_loss("jrc")
    ),
    "HierarchicalGroupwiseRanker: a ranker of one's own": _hierarchical(
        _built_quantizer, group_loss, TwoTowers, quantized_loss_weight=0.5
    ),
    "HierarchicalGroupwiseRanker: several heads": _hierarchical(
        quantizer,
        lambda: {"click": group_loss(), "purchase": group_loss("jrc")},
        lambda: _ranker("mmoe_ranker", TWO_LABELS),
        labels=OF_HEADS,
        user_embedding="user_embedding",
        quantized_loss_weight=0.5,
        head_weights="uncertainty",
        given={"purchase": "click"},
    ),
    "dcn_v2_ranker": _plain("dcn_v2_ranker"),
    "dlrm_ranker": _plain("dlrm_ranker"),
    "esmm_ranker": _plain("esmm_ranker", TWO_LABELS, OF_HEADS),
    "mlp_ranker": _plain("mlp_ranker"),
    "mmoe_ranker": _plain("mmoe_ranker", TWO_LABELS, OF_HEADS),
    "ple_ranker": _plain("ple_ranker", TWO_LABELS, OF_HEADS),
    "shared_bottom_ranker": _plain("shared_bottom_ranker", TWO_LABELS, OF_HEADS),
}

TASK = {
    "make": _task,
    "inputs": (LABELS, LOGITS, EMBEDDINGS),
    "kwargs": {"training": False},
    "watched": (1, 2),
}
