"""Write ``docs/cli.md`` and ``docs/config.md`` from the code.

python scripts/make_docs.py           write them
python scripts/make_docs.py --check   say which are out of date; exit code 1 if any is

What they say is what the code says: help texts, field docstrings, the presets' comments.
"""

from __future__ import annotations

import itertools
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperArgument

from rlef.cli import app
from rlef.config import Config
from rlef.settings import presets

DOCS = Path(__file__).parents[1] / "docs"
MADE = "<!-- Made by scripts/make_docs.py from the code. Change the code, not this page. -->"
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def cli_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        MADE,
        "# Commands",
        "Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 rlef's own failure, "
        "2 a mistake that you can mend (one line says how), 3 a program that is not accepted, or findings of "
        "`rlef data validate`, 130 interrupted. "
        "`RLEF_DEBUG=1` shows tracebacks, `RLEF_RUNS` moves `runs/`.",
    ]
    for name, command in _commands("rlef", typer.main.get_command(app)):
        shown = [p for p in command.params if not p.hidden and p.name != "help"]
        arguments = [p for p in shown if isinstance(p, TyperArgument)]
        options = [p for p in shown if not isinstance(p, TyperArgument)]
        usage = " ".join([name, *(["[options]"] if options else []), *map(_placeholder, arguments)])
        parts += [f"## {name}", f"`{usage}`", _paragraphs(command.help or "")]
        rows = [(f"`{_placeholder(p)}`", _sentence(p.help), "") for p in arguments]
        rows += [(f"`{', '.join(p.opts)}`", _help(p), _default(p)) for p in options]
        if rows:
            parts.append(_table(("", "what it is", "if not given"), rows))
    return "\n\n".join(parts) + "\n"


def config_page() -> str:
    """Every setting, and the presets."""
    rows: list[tuple[str, ...]] = [(f"`{name}`", _first_sentence(name)) for name in presets()]
    parts = [
        MADE,
        "# Settings",
        "Defaults, then the preset or YAML file given with `--config`, then `key=value` on the command "
        "line. A file may start from a preset with `extends: NAME`. Unknown keys are refused. "
        "`rlef config NAME` prints a preset with every setting resolved.",
        "## Presets",
        _table(("preset", "what it is"), rows),
        "## A run",
        _settings(Config, ""),
    ]
    for name, field in Config.model_fields.items():
        section = _record(field)
        if section is not None:
            parts += [f"## {name}", _paragraphs(section.__doc__ or ""), _settings(section, name)]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check both pages."""
    stale = []
    for name, page in (("cli.md", cli_page()), ("config.md", config_page())):
        path = DOCS / name
        if "--check" not in arguments:
            path.write_text(page, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != page:
            stale.append(f"docs/{name}")
    if stale:
        sys.stderr.write(f"{' and '.join(stale)} out of date: run `python scripts/make_docs.py`\n")
    return 1 if stale else 0


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for part, inner in below.items():
        yield from _commands(f"{name} {part}", inner)


def _placeholder(argument: Any) -> str:
    text = str(argument.name).strip("_").upper() + ("…" if argument.nargs == -1 else "")
    return text if argument.required else f"[{text}]"


def _help(option: Any) -> str:
    kind = getattr(getattr(option, "type_descriptor", None), "annotation", None)
    choices = [str(one.value) for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    return _sentence(f"{option.help or ''} {'One of ' + ', '.join(choices) + '.' if choices else ''}")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    return "" if option.default in (None, False, "", ()) else str(option.default)


def _settings(record: type[BaseModel], prefix: str) -> str:
    rows: list[tuple[str, ...]] = []
    for name, field in record.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        inner = _record(field)
        if inner is None:
            rows.append((f"`{key}`", _kind(field), _value(field), _sentence(field.description)))
        elif prefix:  # the sections of a run have tables of their own
            note = _sentence(inner.__doc__)
            rows += [
                (f"`{key}.{part}`", _kind(below), _value(below), _sentence(below.description) or note)
                for part, below in inner.model_fields.items()
            ]
    return _table(("key", "type", "default", "meaning"), rows)


def _record(field: FieldInfo) -> type[BaseModel] | None:
    """The record that a field holds, if it holds one."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _kind(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in _SIGNS.items()
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([_type(field.annotation), *bounds])


def _type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(map(str, inner))
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return "mapping"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(part) for part in inner)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "{" + ", ".join(annotation.model_fields) + "}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
    return names[annotation]


def _value(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "empty" if value == "" else f"{value}"


def _first_sentence(preset: str) -> str:
    """The first sentence of the comment at the top of a preset."""
    text = (resources.files("rlef") / "configs" / f"{preset}.yaml").read_text(encoding="utf-8")
    comment = itertools.takewhile(lambda line: line.startswith("# "), text.splitlines())
    sentence, stop, _ = _sentence(" ".join(line[2:] for line in comment)).partition(". ")
    return sentence + stop.strip()


def _paragraphs(text: str) -> str:
    return "\n\n".join(_sentence(part) for part in text.split("\n\n"))


def _sentence(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").split())


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
