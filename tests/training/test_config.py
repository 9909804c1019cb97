import pytest

from hgr_tf.training import ConfigError, RunConfig
from hgr_tf.training.method import PRESETS, MethodConfig


def test_yaml_round_trip_is_equal():
    config = RunConfig.from_yaml("""
data: {path: prepared/x}
ranker: {type: dcn_v2, hidden_units: [8, 4], projection_dim: 3}
method: {preset: paper, num_levels: 2, codebook_size: [4, 8]}
training: {weight_ema: 0.9, early_stopping: {metric: log_loss, patience: 2}}
seed: 7
""")
    assert RunConfig.from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: nope", "method.preset: must be one of .'none'.*got 'nope'"),
        ("method: {presett: none}", "method.presett: unknown field"),
        ("method: 3", "method: .*got 3"),
        ("ranker: {type: gbdt}", "ranker: .*'mlp', 'dcn_v2', 'dlrm'.*gbdt"),
        ("ranker: {type: mlp, dropout: 2}", "ranker.mlp.dropout: .*less than 1, got 2"),
        ("ranker: {type: mlp, hidden_units: [0]}", "hidden_units.0: .*got 0"),
        ("training: {epochs: many}", "training.epochs: .*got 'many'"),
        ("training: {learning_rate: 0}", "learning_rate: .*got 0"),
        ("seed: -1", "seed: .*got -1"),
        ("colour: red", "colour: unknown field"),
        ("[1, 2]", "got \\[1, 2\\]"),
        ("a: [", "not YAML"),
    ],
)
def test_errors_name_field_expectation_and_value(text, message):
    with pytest.raises(ConfigError, match=f"(?s)my.yaml: .*{message}"):
        RunConfig.from_yaml(text, source="my.yaml")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        RunConfig.load(tmp_path / "none.yaml")


def test_override_replaces_what_is_given_and_checks_it():
    config = RunConfig.from_yaml("method: {preset: default, num_levels: 5}")
    same = config.override(seed=None, method=None, training__epochs=None)
    assert same == config
    other = config.override(method="paper", training__epochs=9, data__path="x")
    assert other.method == MethodConfig.model_validate("paper")
    assert (other.training.epochs, other.data.path) == (9, "x")
    with pytest.raises(ConfigError, match=r"options: training\.epochs: .*got 0"):
        config.override(training__epochs=0)


def test_a_field_wins_over_its_preset():
    method = MethodConfig.model_validate({"preset": "default", "ranking_loss": "jrc"})
    assert method.ranking_loss == "jrc"
    assert method.quantization_dropout == PRESETS["default"]["quantization_dropout"]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_only_the_hierarchical_presets_quantize(preset):
    method = MethodConfig.model_validate(preset)
    assert method.has_codes == (preset in ("default", "random_codes", "paper"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {lr: 0.003}", "did you mean 'learning_rate'"),
        ("ranker: {type: dcn_v2, hiden_units: [3]}", "did you mean 'hidden_units'"),
        ("trainin: {}", "did you mean 'training'"),
        ("training: {zzz: 1}", "there are batch_size, epochs"),
    ],
)
def test_unknown_fields_are_told_what_they_may_have_meant(text, message):
    with pytest.raises(ValueError, match=message):
        RunConfig.from_yaml(text)


def test_random_codes_are_the_default_with_codes_dealt_anew():
    own = MethodConfig.model_validate("default")
    control = MethodConfig.model_validate("random_codes")
    same = {"preset", "lists"}
    assert own.model_dump(exclude=same) == control.model_dump(exclude=same)
    assert control.has_codes
    loss = control._ranking_loss()
    assert loss.shuffle_codes and loss.by_user
    assert not own._ranking_loss().shuffle_codes


OF_HEADS = """
ranker: {type: mmoe, embedding_dim: 4, hidden_units: [8], num_experts: 2}
method:
  preset: default
  heads:
    click: {weight: 2.0, level_weights: 0.1}
    purchase: {ranking_loss: none}
"""


def test_a_head_has_what_it_says_and_the_rest_of_the_method():
    config = RunConfig.from_yaml(OF_HEADS)
    assert RunConfig.from_yaml(config.to_yaml()) == config
    click, purchase = map(config.method.of_head, ("click", "purchase"))
    assert (click.ranking_loss, click.level_weights) == ("list_ce", 0.1)
    assert purchase.ranking_loss is None
    assert config.method.of_head("like").level_weights == 0.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: {heads: {click: {weigth: 2}}}", "did you mean 'weight'"),
        ("method: {heads: {click: {weight: -1}}}", "click.weight: .*got -1"),
        (
            "method: {head_weights: uncertainty, heads: {click: {weight: 2}}}",
            "no weights where `head_weights` is 'uncertainty', got {'click': 2.0}",
        ),
        (
            "method: {heads: {click: {user_level: true, lists: batch}}}",
            r"heads\.click: \(whole\): `user_level` must be false unless",
        ),
    ],
)
def test_bad_heads_are_told(text, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_yaml(text)
