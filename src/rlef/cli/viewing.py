"""``view``: look at the episodes of a run."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlef.errors import RunError
from rlef.runs import Run, runs_root

if TYPE_CHECKING:
    from rlef.views.viewer.server import Viewer

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(view)


def view(
    run: Annotated[
        Path | None, typer.Argument(help="A run directory; the newest under runs/ if not given.")
    ] = None,
    static: Annotated[
        Path | None, typer.Option("--static", dir_okay=False, help="Write one HTML file instead of serving.")
    ] = None,
    episodes: Annotated[
        int, typer.Option("--episodes", min=1, max=2000, help="With --static: at most so many episodes.")
    ] = 200,
    filters: Annotated[
        str,
        typer.Option("--filter", help="What to begin with, as in the address: 'outcome=unsolved&turns=3'."),
    ] = "",
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 picks a free one.")] = 7676,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> int:
    """Look at the episodes of a run in a browser, while it runs too.

    Serves on this machine alone, until Ctrl-C or SIGTERM; the address that it prints holds a token.
    See docs/viewer.md.
    """
    from rlef.views.viewer.query import Query

    chosen = Run.open(run if run is not None else _newest())
    query = Query.strict(filters.removeprefix("?"))
    if static is not None:
        from rlef.views.viewer.static import write_static

        typer.echo(write_static(chosen, static, query, most=episodes))
        return 0
    from rlef.views.viewer.server import Viewer, is_loopback

    viewer = Viewer(chosen, host=host, port=port)
    address = viewer.url + query.address().replace("?", "&", 1).removesuffix("&")
    typer.echo(address)
    typer.echo(f"{chosen.path} is shown there until Ctrl-C", err=True)
    if not is_loopback(host):
        typer.echo(f"warning: with --host {host} the token and all episodes go unencrypted", err=True)
    with _opened(address if open_browser else ""):
        return _serve(viewer)


def _newest() -> Path:
    found = [path.parent for path in runs_root().glob("*/config.yaml")]
    if not found:
        raise RunError(f"there is no run in {runs_root()}; name a run directory: rlef view RUN")
    return max(found, key=lambda path: (path / "config.yaml").stat().st_mtime)


class _Terminated(Exception):
    """SIGTERM came."""


def _serve(viewer: Viewer) -> int:
    def stop(signum: int, frame: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        viewer.serve()
    except KeyboardInterrupt:
        return INTERRUPTED
    except _Terminated:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """Let a browser open the address, through a file that only this user can read.

    A program's arguments can be read by everybody on the machine, and the address holds the token.
    """
    if not address:
        yield
        return
    import webbrowser

    # On its own thread: a browser of the terminal would keep us from answering it.
    with tempfile.NamedTemporaryFile("w", prefix="rlef-view-", suffix=".html") as file:  # mode 0600
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">')
        file.flush()

        def open_it() -> None:
            if not webbrowser.open(Path(file.name).as_uri()):
                typer.echo("there is no browser to open; copy the address into one", err=True)

        threading.Thread(target=open_it, name="rlef-view-browser", daemon=True).start()
        yield
