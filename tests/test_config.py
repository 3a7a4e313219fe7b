"""Configuration: one page, frozen, and a typo costs one line."""

import pytest
from pydantic import ValidationError

from rlef.config import Config
from rlef.errors import ConfigError
from rlef.settings import build_config, dump_config, load_config, presets


def test_settings_come_from_defaults_then_file_then_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 3\nalgorithm:\n  lr: 1.0e-4\n  clip: 0.1\n")
    config = load_config(path, ["algorithm.lr=1e-5", "data.families=[a, b]"])
    assert (config.seed, config.algorithm.lr, config.algorithm.clip) == (3, 1e-5, 0.1)
    assert config.data.families == ("a", "b")
    assert config.algorithm.value_clip == Config().algorithm.value_clip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"extends: mine.yaml", "extends mine.yaml, which extends it"),
        (b"extends: other.yaml", "other.yaml extends mine.yaml, which extends it"),
        (b"name: \xff", "not valid YAML"),
        (
            b"model: {demonstrations: [{usr: x, user: u, assistant: a}]}",
            "no setting 'model.demonstrations.0.usr'",
        ),
        (b"endpoint: {url: 'https://host/v1?key=secret'}", "OPENAI_API_KEY"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(text, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_bytes(text)
    (tmp_path / "other.yaml").write_text("extends: mine.yaml")
    with pytest.raises(ConfigError, match=says) as caught:
        load_config("mine.yaml")
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_file_may_extend_a_preset(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: tiny\nsteps: 7\n")
    mine, tiny = load_config(path), load_config("tiny")
    assert mine.steps == 7 and mine.algorithm == tiny.algorithm


@pytest.mark.parametrize("preset", presets())
def test_every_preset_loads_and_survives_being_written(preset, tmp_path):
    config = load_config(preset)
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config
    assert config.name == preset


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["algorithm.lrr=1"], "there is no setting 'algorithm.lrr'; did you mean 'algorithm.lr'?"),
        (["algoritm.lr=1"], "there is no setting 'algoritm'; did you mean 'algorithm'?"),
        (["steps"], "is not of the form key=value"),
        (["steps=many"], "steps: "),
        (["steps=-1"], "steps: "),
        (["seed.x=1"], "seed"),
        (["algorithm.credit=turns"], "algorithm.credit: "),
        (["steps=[1"], "not valid YAML"),
        (["sampling.temperature=0"], "sampling.temperature: must be above 0, greedy turns teach nothing"),
        (["sampling.temperature=-1"], "sampling.temperature: must be above 0"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_setting(overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_config(None, overrides)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_turns_are_measured_greedily_but_never_learnt_from():
    config = load_config(None, ["evaluation.temperature=0", "sampling.temperature=0.1"])
    assert (config.evaluation.temperature, config.sampling.temperature) == (0.0, 0.1)


def test_an_unknown_preset_and_broken_yaml_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'tiny'"):
        load_config("tinny")
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1\nb: 2")
    with pytest.raises(ConfigError, match="is not valid YAML") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must hold a mapping"):
        load_config(path)


def test_records_are_frozen_and_every_field_is_explained_or_plain():
    config = build_config({})
    with pytest.raises(ValidationError):
        config.seed = 1  # type: ignore[misc]


def test_a_window_of_days_is_text_whether_or_not_yaml_takes_it_for_a_date(tmp_path):
    data = load_config(None, ["data.after=2024-08-01", "data.before='2025-01-01'"]).data
    assert (data.after, data.before) == ("2024-08-01", "2025-01-01")
    path = tmp_path / "a.yaml"
    path.write_text(dump_config(load_config(None, ["data.after=2024-08-01"])))
    assert load_config(path).data.after == "2024-08-01"
    with pytest.raises(ConfigError, match=r"the value of 'data\.before=2024-13-01' is not valid YAML"):
        load_config(None, ["data.before=2024-13-01"])
    for wrong in ("May", "2024", "'2024-13-01'", "2024-08-01 10:00:00", "[1]"):
        with pytest.raises(ConfigError, match=r"data\.before: must be a day, written as 2024-05-31"):
            load_config(None, [f"data.before={wrong}"])
