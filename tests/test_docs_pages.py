"""The pages for each kind of user: their programs run, and each is found from the others."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from test_docs import fences

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("for-*.md"))


def test_there_is_a_page_for_each_kind_of_user():
    assert [page.stem for page in PAGES] == [
        "for-engineers", "for-evaluators", "for-maintainers", "for-researchers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "printed"),
    [(0, "exited b'42\\n'"), (1, "wrong_answer 0.0 None\naccepted 1.0 public_passed")],
)
def test_the_python_of_the_page_for_engineers_prints_what_it_should(number, printed):
    block = fences(DOCS / "for-engineers.md", "python")[number]
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, printed), done.stderr


def test_settings_in_tables_and_signs_exist():
    from rlef.config import Config

    known = set()
    for group, field in Config.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {})
        known |= {group} | {f"{group}.{name}" for name in inner}
    groups = "|".join(name for name in Config.model_fields)
    for page in PAGES:
        for key in re.findall(rf"\b(?:{groups})\.[a-z_]+(?==|`)", page.read_text()):
            assert key in known or key.endswith((".jsonl", ".html", ".json", ".py")), f"{page.name}: {key}"
