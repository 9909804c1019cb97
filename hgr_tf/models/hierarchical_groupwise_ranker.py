"""HierarchicalGroupwiseRanker: trains a ranker with a quantizer beside it."""

import tensorflow as tf

from hgr_tf.compat import KERAS_3, Mean, minimize, under_xla, update_compiled_metrics
from hgr_tf.distribute import num_replicas
from hgr_tf.features.keys import USER
from hgr_tf.functional.graph import is_functional, own_inputs
from hgr_tf.losses.log_loss import log_loss
from hgr_tf.metrics import GroupAUC
from hgr_tf.models.checks import check_quantizer, check_ranker, check_ranking_loss
from hgr_tf.models.ranker_halves import RankerHalves, offers_halves, rank_each

_TRAINING_TERMS = ("ranking_loss", "occupancy")
_NOT_COMPILED = {
    "loss": "the loss is LogLoss plus `ranking_loss`",
    "loss_weights": "`level_weights` of the ranking loss are its weights",
    "weighted_metrics": "all `metrics` are weighted",
}


@tf.keras.utils.register_keras_serializable("hgr_tf")
class HierarchicalGroupwiseRanker(tf.keras.Model):
    """Trains any ranker with hierarchical group-wise losses.

    loss = LogLoss(s, y)
         + quantized_loss_weight . LogLoss(s_q, y)
         + ranking_loss(y, s, codes)
         + quantizer loss + the ranker's own regularization

    s are the ranker's logits; codes come from quantizing its user embedding e;
    s_q are the logits of a second pass with the quantized embedding e_q in the
    place of e; layers that do not depend on e run once for both passes, dropout
    and all. With `quantization_dropout` instead, a random share of the rows
    sees e_q in the one pass. Until the quantizer has started, only the LogLoss
    is trained.

    `ranker` is trained in place: it alone predicts, and is what is exported.
    Without quantizer and ranking loss this is the plain LogLoss baseline.

    Args:
        ranker: A functional Keras model with one output, [batch] or
            [batch, 1]; or any Keras model that offers the two halves itself:
            embed_users(inputs, training) -> [batch, dim] and
            rank(inputs, user_embeddings, training) -> [batch, 1].
        user_embedding: For a functional ranker with a quantizer, the name of
            the layer that makes the user embedding.
        quantizer: A `ResidualVectorQuantizer`, or None.
        ranking_loss: A `HierarchicalGroupwiseLoss` (needs the quantizer), a
            `GroupwiseBaselineLoss`, or None.
        quantized_loss_weight: Weight of the second pass's LogLoss; at 0 there
            is no second pass.
        quantization_dropout: Share of the rows that see e_q in the one pass.
        user_id: Key of the inputs that holds the int user ids, for user-level
            lists and `GroupAUC`, which need inputs that are a dict. Not given to
            the ranker unless it asks for it.
        from_logits: Whether the ranker's output is logits or probabilities.
        unique_users: Quantize each user of a batch once. Pays where users
            repeat in a batch and codebooks are large; not under XLA.

    Example:
        >>> model = hgr_tf.HierarchicalGroupwiseRanker(
        ...     ranker,
        ...     user_embedding="user_embedding",
        ...     quantizer=hgr_tf.layers.ResidualVectorQuantizer(3, 8),
        ...     ranking_loss=hgr_tf.losses.HierarchicalGroupwiseLoss(3),
        ...     quantization_dropout=0.25,
        ... )
        >>> model.compile("adam", metrics=[hgr_tf.metrics.GroupAUC()])
        >>> model.fit(dataset)  # (inputs, labels[, sample_weight])
        >>> model.ranker  # trained

    Source: arXiv:2506.12756, section 3 and equation 10.
    """

    def __init__(
        self,
        ranker,
        user_embedding=None,
        quantizer=None,
        ranking_loss=None,
        quantized_loss_weight=0.0,
        quantization_dropout=0.0,
        user_id=USER,
        from_logits=True,
        unique_users=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ranker = ranker
        self.user_embedding = user_embedding
        self.quantizer = quantizer
        self.ranking_loss = ranking_loss
        self.quantized_loss_weight = quantized_loss_weight
        self.quantization_dropout = quantization_dropout
        self.user_id = user_id
        self.from_logits = from_logits
        self.unique_users = unique_users
        self._check_arguments()
        self._was_called = False
        self._halves = None
        if quantizer is not None and not offers_halves(ranker):
            self._halves = RankerHalves(ranker, user_embedding)
            self._build_quantizer(self._halves.embedding_dim)
        self._group_metrics = []
        self._trackers = _trackers(ranking_loss is not None)
        self.built = True
        if not KERAS_3 and is_functional(ranker):
            # As a SavedModel, Keras 2 saves only models whose inputs it knows.
            self._set_save_spec(
                tf.nest.map_structure(lambda tensor: tensor.type_spec, ranker.input)
            )

    def _check_arguments(self):
        if not self.quantized_loss_weight >= 0:
            raise ValueError(
                "`quantized_loss_weight` must be at least 0, "
                f"got {self.quantized_loss_weight}"
            )
        if not 0 <= self.quantization_dropout <= 1:
            raise ValueError(
                "`quantization_dropout` must be in [0, 1], "
                f"got {self.quantization_dropout}"
            )
        check_ranker(self.ranker, self.from_logits)
        if self.ranking_loss is not None:
            check_ranking_loss(self.ranking_loss)
        if self.quantizer is not None:
            check_quantizer(self.quantizer, self.ranking_loss)
            return
        if self.quantized_loss_weight or self.quantization_dropout:
            raise ValueError(
                "`quantizer` must be given with quantized_loss_weight or "
                "quantization_dropout, got None"
            )
        if getattr(self.ranking_loss, "num_levels", 0):
            raise ValueError(
                "`quantizer` must be given with a HierarchicalGroupwiseLoss, got None"
            )

    def _build_quantizer(self, dim):
        if not self.quantizer.built:
            # Out of a step's graph, for the replicas to share the variables.
            with tf.init_scope():
                self.quantizer.build((None, dim))

    # -- Prediction ---------------------------------------------------------

    def call(self, inputs, training=False):
        """The ranker's own output."""
        self._was_called = True
        return self.ranker(own_inputs(self.ranker, inputs), training=training)

    def logits(self, outputs):
        """The ranker's outputs as float32 logits [batch]."""
        outputs = tf.reshape(tf.cast(outputs, tf.float32), [-1])
        if self.from_logits:
            return outputs
        outputs = tf.clip_by_value(outputs, 1e-7, 1 - 1e-7)
        return tf.math.log(outputs) - tf.math.log1p(-outputs)

    # -- Training -----------------------------------------------------------

    def train_step(self, data):
        """One step on (inputs, labels[, sample_weight])."""
        inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            logits, terms = self._objective(inputs, labels, weights)
            # Optimizers sum the gradients of the replicas.
            loss = terms["loss"] / num_replicas()
        minimize(self.optimizer, loss, tape, self.trainable_variables)
        self._track(terms, labels)
        return self._update_metrics(inputs, labels, logits, weights, training=True)

    def test_step(self, data):
        """Evaluates a batch; its loss is the LogLoss of the ranker."""
        inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(data)
        logits = self.logits(self(inputs, training=False))
        value = log_loss(labels, logits, weights)
        self._track({"loss": value, "log_loss": value}, labels)
        return self._update_metrics(inputs, labels, logits, weights, training=False)

    def _objective(self, inputs, labels, weights):
        """Logits [batch] and the terms of the loss, by name."""
        users = self._user_ids(inputs)
        if self.quantizer is None:
            logits = self.logits(self(inputs, training=True))
            quantized_logits, quantized = None, None
        else:
            logits, quantized_logits, quantized = self._quantized_pass(inputs, users)
        terms = {"log_loss": log_loss(labels, logits, weights)}
        loss = terms["log_loss"] + _sum(self.losses)
        if quantized is not None:
            loss += quantized.loss
        if quantized_logits is not None:
            quantized_loss = log_loss(labels, quantized_logits, weights)
            loss += self.quantized_loss_weight * self._if_started(quantized_loss)
        if self.ranking_loss is not None:
            ranking = self.ranking_loss.compute(
                labels,
                logits,
                codes=None if quantized is None else quantized.codes,
                sample_weight=weights,
                user_ids=users,
                training=True,
                started=True if self.quantizer is None else self.quantizer.started,
            )
            terms["ranking_loss"] = self._if_started(ranking.loss)
            terms["occupancy"] = ranking.occupancy[-1]
            loss += terms["ranking_loss"]
        return logits, {"loss": loss, **terms}

    def _quantized_pass(self, inputs, users):
        halves = self._halves or self.ranker
        self._begin_call(inputs)
        embeddings = halves.embed_users(inputs, training=True)
        self._build_quantizer(embeddings.shape[-1])
        distinct = self.unique_users and not under_xla()
        quantized = self.quantizer(
            embeddings,
            training=True,
            user_ids=users if distinct else None,
        )
        seen = embeddings
        if self.quantization_dropout:
            share = self._if_started(self.quantization_dropout)
            drawn = tf.random.uniform(tf.shape(embeddings)[:1]) < share
            seen = tf.where(drawn[:, None], quantized.quantized, embeddings)
        if not self.quantized_loss_weight:
            (outputs,) = rank_each(halves, inputs, [seen], training=True)
            return self.logits(outputs), None, quantized
        # Before the start the second pass is the first again: layers that keep
        # statistics of their inputs must not see codes without a meaning.
        started = self.quantizer.started
        second = tf.where(started, quantized.quantized, embeddings)
        # The first pass runs last: its activity regularization is what is kept.
        both = [second, seen]
        quantized_outputs, outputs = rank_each(halves, inputs, both, training=True)
        return self.logits(outputs), self.logits(quantized_outputs), quantized

    def _begin_call(self, inputs):
        """What calling the ranker does that calling its halves does not."""
        if self._halves is None and not self._was_called:
            # Keras saves only models that were called: it needs their shapes.
            self(inputs)
        # The losses of other calls, such as an evaluation's, are not this one's.
        self._clear_losses()

    def _if_started(self, value):
        """`value`, but 0 while the codes do not mean anything yet."""
        if self.quantizer is None:
            return value
        return tf.cast(self.quantizer.started, tf.float32) * value

    def _user_ids(self, inputs):
        """Entry `user_id` of the inputs; None where there is none, nor a need."""
        is_dict = isinstance(inputs, dict)
        users = inputs.get(self.user_id) if is_dict else None
        if not (self._group_metrics or getattr(self.ranking_loss, "by_user", False)):
            return users
        if users is None:
            found = sorted(inputs) if is_dict else type(inputs).__name__
            raise ValueError(
                f"inputs must be a dict with {self.user_id!r} (`user_id`), as GroupAUC "
                f"and lists of users need the ids of the users, got {found}"
            )
        if not tf.as_dtype(users.dtype).is_integer:
            raise ValueError(
                f"inputs[{self.user_id!r}] (`user_id`) must be integers, got "
                f"{tf.as_dtype(users.dtype).name}; a StringLookup or Hashing layer in "
                "the dataset's `map` makes them"
            )
        return users

    # -- Metrics ------------------------------------------------------------

    def compile(self, optimizer="adam", metrics=None, **kwargs):
        """Configures training.

        Args:
            optimizer: A Keras optimizer or its name.
            metrics: Keras metrics of (labels, probabilities, sample_weight), or
                names of some; one or a list. A `GroupAUC` is given the user ids
                too, in evaluation only.
            **kwargs: As of `tf.keras.Model.compile`, without `loss` and
                `loss_weights`: the losses are the constructor's; and without
                `weighted_metrics`: all `metrics` are.

        Raises:
            ValueError: One of these is given, or `metrics` is a dict.
        """
        for name, reason in _NOT_COMPILED.items():
            if kwargs.pop(name, None) not in (None, []):
                raise ValueError(f"`{name}` must not be given: {reason}")
        if isinstance(metrics, dict):
            raise ValueError(
                f"`metrics` must be a list, as there is one output, got {metrics}"
            )
        is_list = isinstance(metrics, list | tuple)
        metrics = list(metrics) if is_list else [metrics] if metrics else []
        self._group_metrics = [m for m in metrics if isinstance(m, GroupAUC)]
        others = [m for m in metrics if not isinstance(m, GroupAUC)]
        super().compile(optimizer=optimizer, weighted_metrics=others, **kwargs)

    @property
    def metrics(self):
        """Keras's; the loss comes first, and last what is known in training alone."""

        def place(metric):
            return metric.name in _TRAINING_TERMS, metric.name != "loss"

        # A SavedModel brings the `GroupAUC` it was saved with, beside the compiled one.
        others = [m for m in super().metrics if not isinstance(m, GroupAUC)]
        return sorted([*others, *self._group_metrics], key=place)

    def get_compile_config(self):
        """What `compile` was called with, the group metrics included."""
        config = super().get_compile_config()
        if config:
            serialize = tf.keras.utils.serialize_keras_object
            grouped = [serialize(metric) for metric in self._group_metrics]
            weighted = config.pop("weighted_metrics", None) or []
            config["metrics"] = [*weighted, *grouped]
        return config

    def _get_compile_args(self, user_metrics=True):
        """As `get_compile_config`, for the SavedModels of Keras 2."""
        config = super()._get_compile_args(user_metrics)
        weighted = tf.nest.flatten(config.pop("weighted_metrics") or [])
        config["metrics"] = [*weighted, *self._group_metrics]
        return config

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` says."""
        config = tf.keras.utils.deserialize_keras_object(config)
        self.compile(**{k: v for k, v in config.items() if v is not None})
        # Keras's legacy optimizers have no such method.
        if hasattr(self.optimizer, "build"):
            self.optimizer.build(self.trainable_variables)

    def evaluate(self, *args, **kwargs):
        """As Keras's; not under XLA with a `GroupAUC`, which grows with its rows."""
        jit_compile = self._jit_compile
        if self._group_metrics:
            # The attribute, not the property: that would drop train_function.
            self._jit_compile = False
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._jit_compile = jit_compile

    def _track(self, terms, labels):
        rows = tf.cast(tf.shape(labels)[0], tf.float32)
        for name, value in terms.items():
            tracker = self._loss_tracker if KERAS_3 and name == "loss" else None
            tracker = tracker or self._trackers[name]
            counts = self._if_started(rows) if name == "occupancy" else rows
            tracker.update_state(value, sample_weight=counts)

    def _update_metrics(self, inputs, labels, logits, weights, training):
        # Columns: of vectors, Keras's "accuracy" would be that of categories.
        probabilities = tf.sigmoid(logits)[:, None]
        labels = tf.reshape(labels, [-1, 1])
        if weights is not None:
            weights = tf.reshape(weights, [-1])
        update_compiled_metrics(self, labels, probabilities, weights)
        results = {}
        for metric in self.metrics:
            if isinstance(metric, GroupAUC):
                continue
            if metric.name in _TRAINING_TERMS and not training:
                continue
            result = metric.result()
            results.update(
                result if isinstance(result, dict) else {metric.name: result}
            )
        if training:
            return results
        for metric in self._group_metrics:
            users = self._user_ids(inputs)
            metric.update_state(labels, probabilities, weights, groups=users)
            results[metric.name] = metric.running_result()
        return results

    # -- Serialization ------------------------------------------------------

    def get_config(self):
        """Constructor arguments, the layers serialized."""
        serialize = tf.keras.utils.serialize_keras_object
        return {
            "name": self.name,
            "ranker": serialize(self.ranker),
            "user_embedding": self.user_embedding,
            "quantizer": self.quantizer and serialize(self.quantizer),
            "ranking_loss": self.ranking_loss and serialize(self.ranking_loss),
            "quantized_loss_weight": self.quantized_loss_weight,
            "quantization_dropout": self.quantization_dropout,
            "user_id": self.user_id,
            "from_logits": self.from_logits,
            "unique_users": self.unique_users,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the model from `get_config`."""
        layers = {
            # Unlike the general function, this one knows a SavedModel's format too.
            name: tf.keras.layers.deserialize(config[name], custom_objects)
            for name in ("ranker", "quantizer", "ranking_loss")
            if isinstance(config[name], dict)
        }
        return cls(**{**config, **layers})


def _trackers(ranks):
    names = ["log_loss", *(_TRAINING_TERMS if ranks else ())]
    # Keras 3 has a tracker of the loss; Keras 2 only with compile(loss=...).
    names += [] if KERAS_3 else ["loss"]
    return {name: Mean(name) for name in names}


def _sum(losses):
    return tf.add_n([tf.cast(loss, tf.float32) for loss in losses]) if losses else 0.0
