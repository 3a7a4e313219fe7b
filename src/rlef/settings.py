"""How a run's configuration is put together.

Order: defaults, then the preset or file, then ``key=value``. Unknown keys are refused with the
nearest name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from rlef.config import Config
from rlef.errors import ConfigError


def presets() -> list[str]:
    """Names of the bundled presets."""
    folder = resources.files("rlef") / "configs"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_config(source: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a preset or YAML file and apply ``key=value`` overrides.

    ``source`` is a preset's name or a path; None starts from the defaults. A file may
    name another preset as ``extends``. Raises ``ConfigError`` with one line.
    """
    tree = _read(str(source)) if source is not None else {}
    for item in overrides:
        key, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"override {item!r} is not of the form key=value")
        _assign(tree, key.strip().split("."), _parse(text, item), item)
    return build_config(tree)


def build_config(tree: Mapping[str, Any]) -> Config:
    """Validate a mapping. Raises ``ConfigError``, naming the nearest known key."""
    try:
        return Config.model_validate(dict(tree))
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML that ``load_config`` accepts."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(source: str, below: tuple[str, ...] = ()) -> dict[str, Any]:
    path = Path(source)
    if source in presets():
        text = (resources.files("rlef") / "configs" / f"{source}.yaml").read_text()
    elif path.is_file():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")  # YAML then says where
    else:
        near = difflib.get_close_matches(source, presets(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; presets are {', '.join(presets())}"
        raise ConfigError(f"no preset or file {source!r}{hint}")
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{source} must hold a mapping of settings")
    parent = tree.pop("extends", None)
    if not parent:
        return tree
    if str(parent) in (source, *below):
        raise ConfigError(f"{source} extends {parent}, which extends it")
    return _merge(_read(str(parent), (source, *below)), tree)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _parse(text: str, item: str) -> Any:
    try:
        # YAML reads 1e-3 as text (it wants 1.0e-3); people write the former.
        return float(text) if "e" in text.lower() and _is_number(text) else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a day that does not exist
        raise ConfigError(f"the value of {item!r} is not valid YAML") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _assign(tree: dict[str, Any], path: list[str], value: Any, item: str) -> None:
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            raise ConfigError(f"{item!r}: {name!r} is a value, not a group")
        tree = below
    tree[path[-1]] = value


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        message = "give a list: '[a, b]'" if first["type"] == "tuple_type" else first["msg"]
        return f"{'.'.join(path)}: {message}"
    near = difflib.get_close_matches(path[-1], _known_beside(path), n=1)
    hint = f"; did you mean {'.'.join([*path[:-1], near[0]])!r}?" if near else ""
    return f"there is no setting {'.'.join(path)!r}{hint}"


def _known_beside(path: list[str]) -> Iterable[str]:
    """The settings of the record that ``path`` ends in; none inside a list."""
    record: type[BaseModel] = Config
    for part in path[:-1]:
        inner = record.model_fields[part].annotation if part in record.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ()
        record = inner
    return record.model_fields
