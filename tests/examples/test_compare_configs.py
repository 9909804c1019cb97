from pathlib import Path

import pytest

from hgr_tf.comparing import CompareConfig

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    "name",
    [
        "generic/compare.yaml",
        "generic/compare_all.yaml",
        "kuairand_pure/compare.yaml",
        "kuairand_pure/compare_dcn_v2.yaml",
        "kuairand_pure/optimizers.yaml",
    ],
)
def test_every_method_of_an_example_is_a_run(name):
    config = CompareConfig.load(FOLDER / name)
    for method in config.methods:
        run = config.run(method, seed=1)
        assert run.method._ranking_loss() is not None or run.method.preset == "none"


def test_all_compares_the_hierarchy_with_its_control():
    config = CompareConfig.load(FOLDER / "generic" / "compare_all.yaml")
    assert config.controls == {"groups": "random_codes"}
    lists = {config.run(name, 1).method.lists for name in config.methods}
    assert lists == {"codes", "random_codes", "batch", "user"}
