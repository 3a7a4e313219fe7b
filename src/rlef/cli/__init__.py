"""The command line: thin commands over the rooms.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 our failure,
2 the user's mistake, 3 judged and not accepted, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

import typer

from rlef import __version__
from rlef.cli import catalog, comparing, data, fill, programs, reporting, serving, viewing, work
from rlef.errors import RlefError

NOT_ACCEPTED = 3
INTERRUPTED = 130

# typer carries its own copy of click from 0.27 on; this is the right class with either.
_UsageMistake = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

# Packages of extras that whole rooms import at their top, and the extra that brings each.
_EXTRAS = dict.fromkeys(("torch", "transformers", "safetensors", "peft", "gguf"), "train")

app = typer.Typer(
    name="rlef",
    help="Reinforcement learning with execution feedback: train, evaluate and judge code models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
work.register(app)
reporting.register(app)
programs.register(app)
comparing.register(app)
data.register(app)
fill.register(app)
catalog.register(app)
serving.register(app)
viewing.register(app)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of the ``rlef`` command. The one place where errors become lines."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. ``RLEF_DEBUG=1`` shows tracebacks."""
    share_the_cores(os.environ)
    try:
        result = app(arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away: `rlef … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # `rlef data`
            typer.echo(str(error), err=True)
            return 2
        line = _line(error)
        if line is None or os.environ.get("RLEF_DEBUG"):
            raise
        _complain(line)
        return error.exit_code if isinstance(error, RlefError) else 2
    return result if isinstance(result, int) else 0


def _line(error: Exception) -> str | None:
    """What to tell about a mistake of the user's or a failure of the machine; None for a defect of rlef."""
    if isinstance(error, RlefError):
        return str(error)
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}; what was finished is kept"
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        return f"this needs the package {error.name}: pip install 'rlef[{_EXTRAS[error.name]}]'"
    if isinstance(error, _UsageMistake):
        return str(error.format_message())  # type: ignore[attr-defined]
    return None


def share_the_cores(environ: MutableMapping[str, str]) -> None:
    """Make torch's threads wait for each other asleep, unless the user has chosen otherwise.

    By default they spin: with one other busy process on two cores an update of the tiny model
    took ten times as long, because a spinning thread keeps the core that the awaited one
    needs. This is GNU OpenMP's own value for more threads than cores. It is read once, when
    torch is loaded, so it is set before anything imports torch.
    """
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", "1000")


def _complain(message: str) -> None:
    from rlef.views.text import visible

    line = visible(" ".join(message.split()))  # it may quote a data set, a model or a program
    print(f"error: {line}", file=sys.stderr)  # noqa: T201
