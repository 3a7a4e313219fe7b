"""``judge`` and ``play``: one program at a time, or a file of them."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlef.errors import ConfigError, DataError
from rlef.runs import read_jsonl
from rlef.settings import load_config

if TYPE_CHECKING:
    from rlef.config import Sandbox
    from rlef.judge import Judge
    from rlef.judge.types import HiddenReport, PublicReport
    from rlef.problems.types import Problem, ProblemSet
    from rlef.service.client import RemoteJudge

    Judges = Judge | RemoteJudge

NOT_ACCEPTED = 3
_AT_SERVICES = 512
"""Programs on their way to services; the client holds back what would only wait there."""
ProblemOption = Annotated[
    str | None, typer.Option("--problem", "-p", help="Problem id: conventions/test/scale/0.")
]
DataOption = Annotated[
    str | None, typer.Option("--data", "-d", help="Data set: humaneval, verl:rows.parquet, problems.jsonl.")
]
SplitOption = Annotated[str, typer.Option("--split", help="train, valid or test.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, a row a program.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(judge)
    app.command()(play)


def judge(
    program: Annotated[Path | None, typer.Argument(help="A program; its suffix tells the language.")] = None,
    problem: ProblemOption = None,
    data: DataOption = None,
    split: SplitOption = "test",
    solutions: Annotated[
        Path | None,
        typer.Option("--solutions", help="JSONL of rows `problem_id, code[, language]`, with --data."),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="The program's, if its suffix does not tell.")
    ] = None,
    as_json: AsJson = False,
    url: Annotated[
        str | None, typer.Option("--url", help="Judge at these services instead: URL[,URL].")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the services' token; else RLEF_TOKEN.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="sandbox.slots=1 and the like.")
    ] = None,
    rescore: Annotated[
        Path | None,
        typer.Option("--rescore", help="Judge the episodes of this evaluation again, without its model."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --rescore: the new run; else RUN--rescored.")
    ] = None,
) -> int:
    """Judge a program, or a file of programs, here or at services.

    With --rescore RUN, judge the programs of a finished evaluation again, by --data if another
    version of its problems is given, and write their table and report.
    """
    if rescore is not None:
        if program or problem or solutions or language or url or token_file or overrides:
            raise DataError("--rescore goes with --data, --out and --json only")
        return _rescore(rescore, out, data, as_json)
    if (program is None) == (solutions is None):
        raise DataError("give a program with --problem ID, or --data SET with --solutions FILE.jsonl")
    if program is not None and problem is None:
        raise DataError("which problem? give --problem ID; `rlef data list SET` lists them")
    if solutions is not None and data is None:
        raise DataError("which data set? give --data SET with --solutions")
    problems = find_set(data, split, problem)
    rows = list(_rows(program, problem, solutions, language))
    known = set(problems.ids())
    for row in rows:
        if row["problem_id"] not in known:
            problems.get(row["problem_id"])  # raises, with the nearest id
    settings = load_config(None, overrides or []).sandbox
    spoken = {row["language"] for row in rows}
    opened = _here(settings, spoken) if url is None else _elsewhere(url.split(","), token_file, spoken)
    accepted = asyncio.run(_judge_all(problems, rows, opened, as_json))
    return 0 if accepted == len(rows) or solutions is not None else NOT_ACCEPTED


def _rescore(source: Path, out: Path | None, data: str | None, as_json: bool) -> int:
    from rlef.jobs.rescore import rescore_job, target_of
    from rlef.runs import Run
    from rlef.views.console import Console

    run = Run.open(source)
    target = target_of(source, out)
    console = Console(target)
    try:
        changes = rescore_job(
            run, target, console.watcher(), command=shlex.join(["rlef", *sys.argv[1:]]), data=data
        )
    finally:
        target.tidy()
    if as_json:
        typer.echo(json.dumps(asdict(changes)))
        return 0
    console.results()
    typer.echo(
        f"\n{changes.episodes} episodes: {changes.solved_before} were solved, {changes.solved_now} are now; "
        f"{changes.changed} differ, {changes.cut_short} would have gone on, {changes.missing} have no problem"
    )
    typer.echo(f"report: {target.path / 'report.html'}")
    return 0


def play(
    problem: Annotated[str, typer.Argument(help="Problem id: conventions/test/scale/0.")],
    data: DataOption = None,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Attempts.")] = 3,
    style: Annotated[str, typer.Option("--style", help="plain or terse messages.")] = "plain",
) -> int:
    """Be the policy: read what a model reads, and type programs.

    End a program with a line that holds a single dot, or with Ctrl-D.
    """
    config = load_config(None, [f"episode.turns={turns}", f"episode.style={style}"])
    found = find_set(data, "test", problem).get(problem)
    return 0 if asyncio.run(_play(found, config)) else NOT_ACCEPTED


def find_set(data: str | None, split: str, problem: str | None) -> ProblemSet:
    """The problem set that was named, or the one that a bundled problem's id names."""
    from rlef.problems.load import BUNDLED, SPLITS, load

    if data is not None:
        return load(data, split)
    parts = (problem or "").split("/")
    if len(parts) > 2 and parts[0] in BUNDLED and parts[1] in SPLITS:
        return load(parts[0], parts[1])
    raise DataError(
        f"can't tell the data set of {problem!r}; give --data, or an id like conventions/test/scale/0"
    )


def _rows(
    program: Path | None, problem: str | None, solutions: Path | None, language: str | None
) -> Iterator[dict[str, Any]]:
    """What to judge: texts ``problem_id``, ``code`` and ``language``."""
    from rlef.sandbox.languages import find, of_file

    if program is not None:
        if not program.is_file():
            raise DataError(f"no program {program}")
        code = program.read_text(encoding="utf-8", errors="surrogateescape")
        yield {
            "problem_id": problem,
            "code": code,
            "language": (find(language) if language else of_file(program)).name,
        }
        return
    assert solutions is not None
    if not solutions.is_file():
        raise DataError(f"no file {solutions}")
    count = 0
    try:
        for count, row in enumerate(read_jsonl(solutions), 1):
            if not isinstance(row, dict) or not all(
                isinstance(row.get(k), str) for k in ("problem_id", "code")
            ):
                raise DataError(f"{solutions}:{count}: a row must have the texts `problem_id` and `code`")
            yield row | {"language": find(str(row.get("language", "python"))).name}
    except json.JSONDecodeError:
        raise DataError(f"{solutions}:{count + 1}: not JSON") from None
    if not count:
        raise DataError(f"{solutions} holds no rows")


@asynccontextmanager
async def _here(settings: Sandbox, spoken: set[str]) -> AsyncIterator[tuple[dict[str, Judges], int]]:
    """Judges for languages with a sandbox on this machine, and how many programs to give them at a time."""
    from rlef.judge import Judge
    from rlef.sandbox import Sandbox

    async with await Sandbox.open(settings) as sandbox:
        yield {name: Judge(sandbox, order="kill_rate", language=name) for name in spoken}, 2 * sandbox.slots


@asynccontextmanager
async def _elsewhere(
    urls: list[str], token_file: Path | None, spoken: set[str]
) -> AsyncIterator[tuple[dict[str, Judges], int]]:
    """Judges over services. They are asked how they do first: a wrong URL shows at once."""
    try:
        from rlef.service.client import RemoteJudge
        from rlef.service.token import read_token
    except ModuleNotFoundError as error:
        raise ConfigError(f"--url needs the package {error.name}: pip install 'rlef[serve]'") from None

    token = read_token(token_file)
    async with AsyncExitStack() as stack:
        judges: dict[str, Judges] = {}
        for name in sorted(spoken):
            judges[name] = judge = await stack.enter_async_context(RemoteJudge(urls, token, language=name))
            await judge.check()
        yield judges, _AT_SERVICES


async def _judge_all(
    problems: ProblemSet,
    rows: list[dict[str, Any]],
    opened: AbstractAsyncContextManager[tuple[dict[str, Judges], int]],
    as_json: bool,
) -> int:
    accepted = 0
    async with opened as (judges, at_a_time):
        waiting = asyncio.Semaphore(at_a_time)

        async def one(row: dict[str, Any]) -> dict[str, Any]:
            async with waiting:
                public, hidden = await _both(
                    judges[row["language"]], problems.get(row["problem_id"]), row["code"]
                )
            return _verdict_row(row, public, hidden)

        tasks = [asyncio.ensure_future(one(row)) for row in rows]
        for task in tasks:
            result = await task
            accepted += result["verdict"] == "accepted"
            _print(result, as_json)
    return accepted


async def _both(judging: Judges, problem: Problem, code: str) -> tuple[PublicReport, HiddenReport | None]:
    """Public tests, then the hidden ones if there are any and the public ones passed."""
    if problem.hidden_tests:
        return await judging.judge(problem, code)
    return await judging.public(problem, code), None


def _verdict_row(row: dict[str, Any], public: PublicReport, hidden: HiddenReport | None) -> dict[str, Any]:
    last = hidden or public
    return {
        "problem_id": row["problem_id"],
        "verdict": last.verdict.value,
        "public_passed": sum(t.verdict == "accepted" for t in public.tests),
        "public_total": public.total,
        "hidden_passed": sum(t.verdict == "accepted" for t in hidden.tests) if hidden else 0,
        "hidden_total": hidden.total if hidden else None,
        "cpu_s": round(max(t.cpu_s for t in last.tests), 4),
        "rung": public.rung,
        "weak": public.weak + (hidden.weak if hidden else 0),
        "failure": None if public.passed else asdict(public.failures[0]),
    }


def _print(result: dict[str, Any], as_json: bool) -> None:
    from rlef.views.text import visible

    if as_json:
        typer.echo(json.dumps(result))
        return
    hidden = f", hidden {result['hidden_passed']}/{result['hidden_total']}" if result["hidden_total"] else ""
    typer.echo(
        f"{result['verdict']:15} {result['problem_id']}  "
        f"public {result['public_passed']}/{result['public_total']}{hidden}"
    )
    failure = result["failure"]
    if failure:
        for name in ("input", "expected", "got", "error", "checker_message"):
            if failure[name]:
                label = f"{name.removesuffix('_message')}:"
                typer.echo(f"    {label:10}{visible(failure[name].strip()[-500:])}")


async def _play(problem: Problem, config: Any) -> bool:
    from rlef.episode.env import start, step
    from rlef.judge import Judge
    from rlef.sandbox import Sandbox
    from rlef.views.text import visible

    state, text = start(problem, config.episode)
    total = 0.0
    async with await Sandbox.open(config.sandbox) as sandbox:
        judging = Judge(sandbox)
        while True:
            typer.echo(visible(text))
            typer.echo(
                f"\n-- attempt {state.turn + 1} of {config.episode.turns}; end with a line `.`", err=True
            )
            code = await asyncio.to_thread(_typed)
            move = await step(
                state, f"```python\n{code}\n```", "stop", judging, config.episode, config.reward
            )
            state, total = move.state, total + move.reward
            if move.observation is None:
                break
            text = move.observation
    solved = bool(move.public and move.public.passed and move.hidden and move.hidden.passed)
    typer.echo(f"{'solved' if solved else 'not solved'} after {state.turn} attempts; reward {total:+g}")
    return solved


def _typed() -> str:
    lines = []
    for line in sys.stdin:
        if line.rstrip("\n") == ".":
            break
        lines.append(line)
    return "".join(lines).rstrip("\n")
