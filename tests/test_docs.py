"""The documents are held to the code: commands, settings, names, links, examples."""

import ast
import functools
import json
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
import typer

from judge_help import certify
from rlef.cli import app
from rlef.config import Config
from rlef.problems.jsonl import row_to_problem
from rlef.settings import load_config, presets

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINES = re.compile(r"^(?:[A-Z_]+=\S+ |ssh .* (?=rlef))*((?:rlef|make) .*)$", re.MULTILINE)
SPANS = re.compile(r"`((?:rlef|make) [^`\n]+)`")


def fences(page: Path, language: str) -> list[str]:
    found = re.finditer(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(match[2]) for match in found]


def block_lines(page: Path) -> list[str]:
    return [match[1] for match in LINES.finditer("\n".join(fences(page, "sh")))]


def spans(page: Path) -> list[str]:
    """Commands in running text, which may leave their arguments out."""
    return [span for span in SPANS.findall(page.read_text()) if "…" not in span and "[options]" not in span]


def parse(line: str) -> tuple[str, dict[str, object]]:
    """The command that a line names, and what its arguments were read as. Raises if it is wrong."""
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    context = command.make_context("rlef", list(words), resilient_parsing=True)
    while words and hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, list(words))
        group = hasattr(command, "commands")
        context = command.make_context(name, list(words), parent=context, resilient_parsing=group)
    return str(command.name), context.params


def names(path: Path) -> set[str]:
    """Everything that a module defines at its top, and the members of its classes."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        found |= defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for member in node.body for name in defined(member)}
    return found


def defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def changed(preset: str, other: str) -> dict[str, object]:
    """Settings of a preset that another one has otherwise, by dotted key."""
    here, there = flat(load_config(preset).model_dump()), flat(load_config(other).model_dump())
    return {key: value for key, value in here.items() if value != there[key] and key != "name"}


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    pairs: dict[str, object] = {}
    for key, value in tree.items():
        pairs |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return pairs


def test_generated_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_docs.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_document_can_be_given(page):
    for line in block_lines(page):
        check(line)
    for span in spans(page):
        check(span, bare=True)


def check(line: str, *, bare: bool = False) -> None:
    if line.startswith("make "):
        target = shlex.split(line, comments=True)[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        return
    try:
        name, read = parse(line)
    except Exception as error:  # typer brings its own click, whose errors have no public name
        if bare and type(error).__name__ in ("MissingParameter", "BadOptionUsage"):
            return
        pytest.fail(f"{line!r}: {error}")
    preset = read.get("config") or read.get("preset")
    if preset and str(preset).isupper():  # NAME stands for any
        return
    if preset or read.get("overrides"):
        load_config(preset and str(preset), read.get("overrides") or [])
    assert bare or name not in ("rlef", "data", "model"), f"{line!r} names no command"


def test_a_wrong_command_option_preset_or_setting_would_be_noticed():
    for line in (
        "rlef trian --config tiny",
        "rlef train --confg tiny",
        "rlef train --config tinny",
        "rlef train --config tiny algorithm.lrr=1",
        "rlef data lst conventions",
        "rlef play",
        "make dmeo",
    ):
        with pytest.raises((pytest.fail.Exception, ValueError, AssertionError)):
            check(line)


def test_commands_are_found_behind_a_variable_on_another_machine_and_in_a_list():
    lines = [line for page in PAGES for line in block_lines(page)]
    assert {"rlef data list humaneval", "rlef view runs/NAME"} <= {line.split("  ")[0] for line in lines}
    assert "rlef data fill humaneval+:HumanEvalPlus.jsonl.gz humanevalplus.jsonl" in lines


def test_scripts_modules_and_extras_that_a_document_tells_to_use_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    count = 0
    for page in PAGES:
        text = page.read_text()
        for script in re.findall(r"python ((?:scripts|tests)/\w+\.py)", text):
            assert (ROOT / script).is_file(), f"{page.name}: {script}"
            count += 1
        for module in re.findall(r"python -m (benchmarks[\w.]*)", text):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), f"{page.name}: {module}"
            count += 1
        for extras in re.findall(r"pip install (?:-\S+ )*'(?:\.|rlef)\[([\w,]+)\]'", text):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), f"{page.name}: {extras}"
            count += 1
    assert count > 10


def test_settings_that_a_document_gives_a_value_can_be_set():
    groups = "|".join(Config.model_fields)
    count = 0
    for page in PAGES:
        for span in re.findall(rf"`('?(?:{groups})\.[^`…]+=[^`…]*)`", page.read_text()):
            if "sandbox_fusion" not in span:  # a setting of verl's
                load_config(None, shlex.split(span))
            count += 1
    assert count > 10


def test_the_readme_shows_every_command_that_trains_measures_judges_and_plays():
    shown = {parse(line)[0] for line in block_lines(ROOT / "README.md") if line.startswith("rlef")}
    assert {"train", "evaluate", "judge", "play", "get"} <= shown


def test_links_between_documents_lead_somewhere():
    results = list((ROOT / "docs" / "results").glob("*"))
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            target = (page.parent / link).resolve()
            if target.parent == ROOT / "docs" / "results" and not results:
                continue  # nothing has been measured yet
            assert target.exists(), f"{page.relative_to(ROOT)} links to {link}"


def test_functions_and_tests_that_documents_name_exist():
    known = functools.cache(names)
    count = 0
    for page in PAGES:
        for file, name in re.findall(r"`([\w/]+\.py)::([\w.]+)`", page.read_text()):
            path = ROOT / "tests" / file if file.startswith("test_") else ROOT / "src" / "rlef" / file
            assert path.is_file(), f"{page.relative_to(ROOT)} names {file}"
            assert name in known(path), f"{page.relative_to(ROOT)} names {file}::{name}"
            count += 1
    assert count > 100


def test_every_preset_that_a_document_names_exists():
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"`((?:tiny|paper|smollm2)-[\w-]+)`", text))
    assert named and named <= set(presets())


def test_the_problem_in_the_readme_is_a_problem():
    (block,) = fences(ROOT / "README.md", "json")
    problem = row_to_problem(json.loads(block))
    assert problem.id == "sum" and problem.hidden_tests


def test_the_python_in_the_readme_runs_and_prints_what_it_should():
    (block,) = fences(ROOT / "README.md", "python")
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert done.stdout == "b'42\\n'\n"


def test_the_python_and_the_problem_in_the_page_of_the_judge_are_right():
    page = ROOT / "docs" / "judge.md"
    (block,) = fences(page, "python")
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert done.stdout == "accepted True\n"
    problems = [row_to_problem(json.loads(block)) for block in fences(page, "json")]
    assert all(problem.solutions for problem in problems) and certify(problems) == []
    assert [problem.form for problem in problems if not problem.checker] == ["call"]


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("tiny-single-turn", {"episode.turns": 1, "reward.invalid": 0.0}),
        ("tiny-no-feedback", {"episode.feedback": "none", "episode.stop_on_public_pass": False}),
        ("tiny-token-value", {"algorithm.credit": "token"}),
        ("tiny-rejection", {"algorithm.objective": "rejection"}),
        ("tiny-rloo", {"algorithm.credit": "rloo", "algorithm.problems": 40, "algorithm.samples": 4}),
        ("tiny-grpo", {"algorithm.credit": "grpo", "algorithm.problems": 40, "algorithm.samples": 4}),
    ],
)
def test_a_control_differs_from_tiny_in_what_it_is_named_after(preset, changes):
    assert changed(preset, "tiny") == changes
    mine, tiny = load_config(preset).algorithm, load_config("tiny").algorithm
    assert mine.problems * mine.samples == tiny.problems * tiny.samples


def test_the_paper_preset_holds_the_papers_numbers():
    config = load_config("paper-8b")
    assert config.steps * config.algorithm.minibatches == 12_000
    assert config.algorithm.problems * config.algorithm.samples == 4 * 256
    algorithm = config.algorithm
    assert (algorithm.lr, algorithm.weight_decay, algorithm.warmup) == (2e-7, 0.1, 50)
    assert (algorithm.clip, algorithm.value_clip, algorithm.truncate, algorithm.epochs) == (0.2, 0.2, 1.0, 1)
    assert (algorithm.credit, algorithm.gamma, algorithm.lam) == ("turn", 1.0, 1.0)
    assert config.reward == Config().reward
    assert flat(config.reward.model_dump()) == {"solved": 1.0, "failed": -1.0, "invalid": -0.2, "kl": 0.05}
    assert (config.episode.turns, config.sampling.temperature, config.sampling.top_p) == (3, 1.0, 1.0)
    measured = config.evaluation
    assert (measured.turns, measured.rollouts, measured.temperature, measured.top_p) == (3, 200, 0.2, 0.95)
    assert measured.every * algorithm.minibatches == 800
    longest = config.episode.prompt_tokens + 2 * config.episode.feedback_tokens
    assert longest + 3 * config.episode.response_tokens < 8192
