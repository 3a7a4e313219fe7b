"""Certification: what is found of problems whose faults are known."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from judge_help import cases, problem, with_judge
from rlef.cli import run as command
from rlef.jobs import certify as certify_job
from rlef.jobs.certify import Kept
from rlef.judge.certify import Certifier
from rlef.judge.findings import Certificate, Kind
from rlef.judge.scripted import ScriptedSandbox
from rlef.problems import quarantine
from rlef.problems.jsonl import write_problems
from rlef.problems.types import Checker, Limits, Solution, TestCase
from rlef.sandbox.types import RunResult, Status

RIGHT = "print(2 * int(input()))\n"
ALSO_RIGHT = "n = int(input())\nprint(n + n)\n"
WRONG = "print(3 * int(input()))\n"
ONLY_SMALL = "n = int(input())\nprint(2 * n if n < 3 else 0)\n"
CRASH = "print(1 // 0)\n"


def known(*codes, **changes):
    """Doubling, with known-good solutions, and known-bad ones as pairs of code and verdict."""
    solutions = tuple(
        Solution(code=code) if isinstance(code, str) else Solution(code=code[0], verdict=code[1])
        for code in codes
    )
    return problem(**({"solutions": solutions} | changes))


def certified(*problems):
    async def work(judge):
        certifier = Certifier(judge.sandbox)
        return [await certifier.certify(one) for one in problems]

    return with_judge(work)


def kinds(certificate):
    return [finding.kind.value for finding in certificate.findings]


def scripted(one, answer):
    """The certificate of a problem whose programs print ``answer(code, stdin)``."""
    return asyncio.run(Certifier(ScriptedSandbox(answer)).certify(one))


def test_what_is_found_in_a_real_sandbox_is_what_is_wrong():
    fine, fails, passes, other, public, lost = certified(
        known(RIGHT, (WRONG, "wrong_answer"), (CRASH, "runtime_error")),
        known(WRONG, RIGHT),
        known(RIGHT, (ALSO_RIGHT, "wrong_answer")),
        known(RIGHT, (CRASH, "wrong_answer")),
        known(RIGHT, (ONLY_SMALL, "wrong_answer")),
        known(),
    )
    assert kinds(fine) == [] and not fine.wrong and fine.reasons() == ()
    assert kinds(fails) == ["reference_fails", "answers_differ"] and fails.wrong and not fails.reasons()
    assert kinds(passes) == ["bad_passes", "unfailed_tests"] and passes.wrong and not passes.reasons()
    assert passes.reasons([Kind.BAD_PASSES]) == (
        "bad_passes: solution 1, declared wrong_answer, passes every test",
    )
    assert kinds(other) == ["other_verdict"] and other.wrong
    assert kinds(public) == ["bad_passes_public", "unfailed_tests"] and not public.wrong
    assert public.findings[1].tests == ("public[0]", "public[1]")
    assert kinds(lost) == ["no_reference"] and not lost.wrong


def test_a_reference_that_fails_names_its_verdict_and_every_test_it_fails():
    (found,) = certified(known(ONLY_SMALL, private_tests=cases(("3", "6"), ("-1", "-2"))))
    assert kinds(found) == ["nothing_passes", "reference_fails"]
    assert found.findings[1].tests == ("hidden[0]", "hidden[2]", "hidden[3]")
    assert found.findings[1].text == "solution 0: wrong_answer on hidden[0], hidden[2], hidden[3]"
    assert found.reasons() == (f"nothing_passes: {found.findings[1].text}",)
    assert found.solutions[0].failed == tuple((name, "wrong_answer") for name in found.findings[1].tests)


def test_a_flaky_reference_is_found_with_the_test_and_told_from_order():
    coin = "import os\nn = int(input())\nprint(2 * n if n < 3 or os.urandom(1)[0] % 2 else 0)\n"
    hidden = cases(*((str(n), str(2 * n)) for n in range(3, 33)))
    (found,) = certified(known(coin, private_tests=hidden, generated_tests=()))
    assert kinds(found)[0] == "nothing_passes" and "flaky" in kinds(found)
    flaky = next(finding for finding in found.findings if finding.kind is Kind.FLAKY)
    assert set(flaky.tests) <= {f"hidden[{at}]" for at in range(30)} and "from run to run" in flaky.text
    assert not found.solutions[0].steady


@pytest.mark.parametrize("fails", [0, 1])
def test_a_solution_that_passes_in_some_run_is_flaky_and_neither_failing_nor_another_answer(fails):
    runs = []

    def answer(code, stdin):
        if code == ALSO_RIGHT or stdin != b"3":
            return b"%d" % (2 * int(stdin))
        runs.append(code)
        return b"x" if len(runs) - 1 == fails else b"6"

    found = scripted(known(RIGHT, ALSO_RIGHT), answer)
    assert kinds(found) == ["flaky"] and found.findings[0].tests == ("hidden[0]",)


def test_a_verdict_that_hangs_on_the_order_of_the_tests_is_called_that():
    before = [b""]

    def answer(code, stdin):
        last, before[0] = before[0], stdin
        return b"wrong" if (stdin, last) == (b"4", b"3") else b"%d" % (2 * int(stdin))

    found = scripted(known(RIGHT), answer)
    flaky = next(finding for finding in found.findings if finding.kind is Kind.FLAKY)
    assert flaky.tests == ("hidden[1]",) and "by the order of the tests" in flaky.text
    # Another steady solution passes: the problem itself is sound.
    pair = known(RIGHT, ALSO_RIGHT)
    both = scripted(
        pair, lambda code, stdin: answer(code, stdin) if code == RIGHT else b"%d" % (2 * int(stdin))
    )
    assert "nothing_passes" not in kinds(both) and "flaky" in kinds(both) and both.wrong


def test_each_solution_runs_twice_on_each_test_the_second_time_backwards():
    sandbox = ScriptedSandbox(lambda code, stdin: b"%d" % (2 * int(stdin)))
    asyncio.run(Certifier(sandbox).certify(known(RIGHT, RIGHT)))
    once = [(RIGHT, stdin) for stdin in (b"1", b"2", b"3", b"4", b"5")]
    assert sandbox.runs == 2 * [*once, *once[::-1]]


def test_a_failing_sandbox_is_no_verdict_on_the_problem():
    def answer(code, stdin):
        from rlef.errors import SandboxError

        raise SandboxError("it broke")

    found = scripted(known(RIGHT), answer)
    assert kinds(found) == ["judge_error"] and found.wrong and not found.reasons()
    assert "it broke" in found.findings[0].text


def test_a_checker_that_fails_each_time_is_no_failure_of_the_sandbox_and_keeps_the_problem_out():
    crash = Checker(source="answer = open('answer.txt').read()\nraise ValueError(answer)\n")
    unknown = Checker(source="class A {}", language="java")
    one, other = certified(
        known(RIGHT, comparison="checker", checker=crash),
        known(RIGHT, comparison="checker", checker=unknown),
    )
    assert kinds(one) == ["nothing_passes", "checker_fails"] and one.wrong
    every = "public[0], public[1], hidden[0], hidden[1] and 1 more"
    assert one.reasons() == (f"nothing_passes: solution 0: the checker failed (exit code 3) on {every}",)
    assert kinds(other) == ["judge_error"] and "'java'" in other.findings[0].text and not other.reasons()


def test_nothing_of_what_the_programs_print_is_kept(monkeypatch):
    kept = []
    monkeypatch.setattr("rlef.judge.certify.of_references", lambda problem, good: kept.extend(good) or [])
    scripted(known(RIGHT), lambda code, stdin: b"a long output")
    assert len(kept) == 1 and "output" not in repr(kept[0].runs)


@pytest.mark.parametrize("seed", range(40))
def test_findings_follow_from_the_verdicts_as_the_table_says(seed):
    draw = random.Random(seed)
    tests, count = 5, draw.randint(1, 4)
    good = [draw.random() < 0.5 for _ in range(count)]
    passes = [[draw.random() < draw.choice((0.5, 1)) for _ in range(tests)] for _ in range(count)]

    def answer(code, stdin):
        right = passes[int(code)][int(stdin) - 1]
        return b"%d" % (2 * int(stdin)) if right else b"x"

    one = known(*(str(at) if is_good else (str(at), "wrong_answer") for at, is_good in enumerate(good)))
    found = set(kinds(scripted(one, answer)))
    full = [all(row) for row in passes]
    some_good, some_bad = any(good), not all(good)
    bad_rows = [row for row, is_good in zip(passes, good, strict=True) if not is_good]
    expected = {
        "no_reference": not some_good,
        "reference_fails": any(g and not f for g, f in zip(good, full, strict=True)),
        "nothing_passes": some_good and not any(g and f for g, f in zip(good, full, strict=True)),
        "bad_passes": any(f and not g for g, f in zip(good, full, strict=True)),
        "answers_differ": any(g and f for g, f in zip(good, full, strict=True))
        and any(g and not f for g, f in zip(good, full, strict=True)),
        "bad_passes_public": any(all(row[:2]) and not all(row) for row in bad_rows),
        "unfailed_tests": some_bad and any(all(column) for column in zip(*bad_rows, strict=True)),
    }
    assert found == {kind for kind, holds in expected.items() if holds}


def test_limits_that_are_tight_for_the_best_reference_are_told_with_the_factor():
    def spent(cpu_s, peak_bytes):
        return lambda code, stdin: RunResult(
            status=Status.EXITED,
            stdout=b"%d" % (2 * int(stdin)),
            cpu_s=cpu_s[code] if stdin == b"3" else 0.1,
            peak_bytes=peak_bytes,
        )

    limits = Limits(cpu_s=2.0, memory_bytes=100 * 2**20)
    tight = scripted(known("a", "b", limits=limits), spent({"a": 1.5, "b": 1.2}, 80 * 2**20))
    assert [finding.text for finding in tight.findings] == [
        "solution 1 takes 0.60 of the limit of 2 s of CPU time",
        "solution 0 takes 0.80 of the limit of 100 MiB",
    ]
    assert not tight.wrong and [one.cpu for one in tight.solutions] == [0.75, 0.6]
    assert kinds(
        scripted(known("a", ("b", "wrong_answer"), limits=limits), spent({"a": 1.0, "b": 0.1}, 1))
    ) == [
        "bad_passes",
        "unfailed_tests",
    ]
    roomy = scripted(known("a", "b", limits=limits), spent({"a": 1.5, "b": 1.0}, 50 * 2**20))
    assert kinds(roomy) == []


def test_a_limit_that_stops_every_reference_is_tight_and_said_to_be():
    def late(code, stdin):
        slow = code == "slow" and stdin == b"4"
        return RunResult(status=Status.CPU_LIMIT if slow else Status.EXITED, stdout=b"%d" % (2 * int(stdin)))

    found = scripted(known("slow", ("bad", "time_limit")), late)
    tight = next(finding for finding in found.findings if finding.kind is Kind.TIGHT_TIME)
    assert tight.text == "solution 0 is stopped at the limit of 2 s of CPU time, and none passes"
    assert kinds(found)[0] == "nothing_passes"
    assert "tight_time" not in kinds(scripted(known("slow", "quick"), late))


def test_limits_are_tight_for_the_solutions_of_one_language_whatever_another_takes():
    def spent(code, stdin):
        cpu_s = 1.5 if code == "python" else 0.01
        return RunResult(status=Status.EXITED, stdout=b"%d" % (2 * int(stdin)), cpu_s=cpu_s)

    both = known(solutions=(Solution(code="c++", language="cpp17"), Solution(code="python")))
    found = asyncio.run(Certifier(ScriptedSandbox(spent), spoken=("python", "cpp17")).certify(both))
    assert [one.text for one in found.findings] == ["solution 1 takes 0.75 of the limit of 2 s of CPU time"]


SEVERAL = "If there are several answers, print any of them."


def test_several_right_answers_without_a_checker_go_to_quarantine():
    checker = Checker(source="import sys\n")
    one, two, same, ordered, listed, checked = certified(
        known(RIGHT, statement=SEVERAL),
        known(RIGHT, ALSO_RIGHT, statement=SEVERAL),
        known(RIGHT, RIGHT, statement=SEVERAL),
        known(RIGHT, statement=SEVERAL, comparison="unordered"),
        known(RIGHT, statement=SEVERAL, generated_tests=(TestCase(input="9", output="18", also=("0",)),)),
        known(RIGHT, statement=SEVERAL, comparison="checker", checker=checker),
    )
    assert kinds(one) == ["several_answers"] and one.reasons() and not one.wrong
    assert "print any of them" in one.findings[0].quote and "any of" not in one.reasons()[0]
    assert kinds(two) == ["several_answers"] and not two.reasons()
    assert same.reasons(), "one program written twice is no second opinion"
    (against,) = certified(known(RIGHT, ALSO_RIGHT, WRONG, statement=SEVERAL))
    assert against.reasons(), "a third prints something else: that two agree proves nothing"
    assert kinds(ordered) == kinds(listed) == kinds(checked) == []


def test_tests_that_repeat_or_contradict_each_other_are_named():
    repeats = known(RIGHT, generated_tests=cases(("1", "2"), ("7", "14"), ("7", "14.0000001")))
    contradicts = known(RIGHT, generated_tests=cases(("1", "2"), ("1", "3")))
    among = (TestCase(input="1", output="3", also=("2",)),)
    allows = known(RIGHT, generated_tests=among)
    calls = [
        known(
            "def f(x):\n    return 2 * x\n",
            form="call",
            entry_point="f",
            public_tests=(TestCase(input="[1]", output="2"),),
            private_tests=(TestCase(input="[1]", output=output, check=check),),
            generated_tests=(),
        )
        for output, check in (("2.0", "equal"), ("3", "equal"), ("true", "bool"))
    ]
    found = certified(repeats, contradicts, allows, *calls)
    assert kinds(found[0]) == ["repeated_tests"]
    assert found[0].findings[-1].tests == ("hidden[1]", "hidden[3]")
    assert kinds(found[1])[0] == "nothing_passes" and "contradiction" in kinds(found[1])
    against = next(finding for finding in found[1].findings if finding.kind is Kind.CONTRADICTION)
    assert against.tests == ("public[0]", "hidden[2]")
    assert kinds(found[2]) == ["repeated_tests"]
    assert kinds(found[3]) == ["repeated_tests"]
    assert "contradiction" in kinds(found[4]) and "contradiction" not in kinds(found[5])


def test_a_certificate_comes_back_from_json_as_it_was():
    for found in certified(known(WRONG, (RIGHT, "time_limit"), statement=SEVERAL), known(RIGHT)):
        assert Certificate.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_most_bounds_the_good_and_the_bad_ones():
    sandbox = ScriptedSandbox(lambda code, stdin: b"%d" % (2 * int(stdin)))
    many = known("a", ("b", "wrong_answer"), "c", ("d", "wrong_answer"), "e")
    found = asyncio.run(Certifier(sandbox, most=1).certify(many))
    assert [one.index for one in found.solutions] == [0, 1] and {code for code, _ in sandbox.runs} == {
        "a",
        "b",
    }


# -- the command


@pytest.fixture
def three(tmp_path, monkeypatch):
    """A set of a sound problem, one whose reference fails and one that a bad program passes."""
    with_judge(lambda judge: asyncio.sleep(0))  # skips where there is no sandbox
    monkeypatch.chdir(tmp_path)
    problems = [
        known(RIGHT, (WRONG, "wrong_answer"), id="sound"),
        known(WRONG, id="broken"),
        known(RIGHT, (ALSO_RIGHT, "wrong_answer"), id="weak"),
    ]
    return str(write_problems(tmp_path / "three.jsonl", problems))


def validate(capsys, *words):
    code = command(["data", "validate", *words, "--set", "sandbox.slots=1"])
    out, err = capsys.readouterr()
    return code, out, err


def timeless(out):
    """Rows of the command without what they measured."""
    rows = [json.loads(line) for line in out.splitlines()]
    for row in rows:
        for one in row.get("solutions", []):
            del one["cpu"], one["memory"]
    return rows


def test_validate_prints_findings_and_ends_with_3(three, capsys):
    code, out, _ = validate(capsys, three)
    assert code == 3
    assert "broken: quarantine\n" in out and "weak\n" in out and "sound" not in out
    assert "3 problems, 15 tests; 2 of 3 known-good solutions pass, 1 of 2 known-bad ones" in out


def test_validate_of_a_sound_set_ends_with_0(tmp_path, capsys, three):
    path = str(write_problems(tmp_path / "sound.jsonl", [known(RIGHT, (WRONG, "wrong_answer"))]))
    assert validate(capsys, path)[0] == 0


def test_validate_writes_a_list_that_a_run_honours(three, tmp_path, capsys):
    from rlef.problems.load import load

    place = quarantine.place_of("three.jsonl")
    validate(capsys, three, "--quarantine", str(place))
    left, found = quarantine.apply(load(three, "test"))
    assert left.ids() == ["sound", "weak"] and [one.id for one in found] == ["broken"]
    assert found[0].reasons == (
        "nothing_passes: solution 0: wrong_answer on public[0], public[1], hidden[0], hidden[1] and 1 more",
    )
    validate(capsys, three, "--quarantine", str(place), "--also", "bad_passes")
    assert quarantine.apply(load(three, "test"))[0].ids() == ["sound"]


def test_validate_gives_a_json_row_a_problem_in_their_order_and_a_summary(three, capsys):
    code, out, _ = validate(capsys, three, "--json")
    *rows, last = map(json.loads, out.splitlines())
    assert code == 3 and [row["problem_id"] for row in rows] == ["sound", "broken", "weak"]
    assert [bool(row["quarantine"]) for row in rows] == [False, True, False]
    assert last["summary"]["findings"] == {
        "nothing_passes": 1, "reference_fails": 1, "bad_passes": 1, "unfailed_tests": 1,
    }  # fmt: skip
    assert last["summary"]["wrong"] == 2 and last["summary"]["quarantined"] == 1


def test_an_interrupted_validation_goes_on_where_it_was(three, tmp_path, capsys, monkeypatch):
    rows = tmp_path / "rows.jsonl"
    _, whole, _ = validate(capsys, three, "--json", "--out", str(rows))
    kept = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(kept[:2]) + kept[2][:30])  # killed while it wrote the third
    ran = []
    certify = Certifier.certify

    async def watched(self, one):
        ran.append(one.id)
        return await certify(self, one)

    monkeypatch.setattr(Certifier, "certify", watched)
    code, again, _ = validate(capsys, three, "--json", "--out", str(rows))
    assert code == 3 and ran == ["weak"] and len(rows.read_text().splitlines()) == 3
    assert timeless(again) == timeless(whole)
    # A problem that changed is run again.
    changed = [known(RIGHT, id="sound"), known(WRONG, id="broken")]
    write_problems(tmp_path / "three.jsonl", changed)
    ran.clear()
    validate(capsys, three, "--out", str(rows))
    assert ran == ["sound"]


@pytest.mark.parametrize("text", ['{"my": "notes"}\n', '{"my": "notes"}', "[" * 100_000 + "\n"])
def test_another_kind_of_file_is_not_written_over(three, tmp_path, capsys, text):
    other = tmp_path / "notes.jsonl"
    other.write_text(text)
    code, out, err = validate(capsys, three, "--out", str(other))
    assert code == 2 and not out and "choose another name" in err and other.read_text() == text


def test_a_place_that_can_be_no_list_of_this_set_is_told_before_anything_runs(three, tmp_path, capsys):
    theirs = quarantine.write(tmp_path / "theirs.json", quarantine.Quarantine(dataset="mbpp", made_by=""))
    before = theirs.read_text()
    for place in (three, str(theirs), str(tmp_path)):
        code, out, err = validate(capsys, three, "--quarantine", place)
        assert code == 2 and not out and err.count("\n") == 1
    code, out, _ = validate(capsys, three, "--quarantine", "new.json", "--out", "new.json")
    assert code == 2 and not out
    assert theirs.read_text() == before and "sound" in Path(three).read_text()


def test_a_list_keeps_what_it_has_of_problems_that_were_not_looked_at(three, capsys):
    from rlef.problems.load import load

    place = quarantine.place_of("three.jsonl")
    validate(capsys, three, "--quarantine", str(place), "--also", "bad_passes")
    _, _, err = validate(capsys, three, "--quarantine", str(place), "--limit", "2")
    assert [one.id for one in quarantine.read(place).problems] == ["broken", "weak"]
    assert "1 of them from before" in err
    assert quarantine.apply(load(three, "test"))[0].ids() == ["sound"]


def test_two_validations_do_not_write_one_file(three, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    with Kept(rows, ["python"]):
        code, out, err = validate(capsys, three, "--out", str(rows))
    assert code == 2 and not out and "another process" in err


SLOW = """
import time
end = time.process_time() + 1.5
while time.process_time() < end:
    pass
print(2 * int(input()))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_is_done_when_it_is_stopped_is_kept(tmp_path, capsys, three, how):
    problems = [known(WRONG, id="broken"), known(*[f"# {at}{SLOW}" for at in range(50)], id="slow")]
    path = str(write_problems(tmp_path / "set.jsonl", problems))
    rows = tmp_path / "rows.jsonl"
    words = ["data", "validate", path, "--out", str(rows), "--quarantine", "list.json"]
    process = subprocess.Popen([sys.executable, "-m", "rlef", *words], stderr=subprocess.PIPE, text=True)
    while not (rows.exists() and rows.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(how)
    _, err = process.communicate()
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    assert how == signal.SIGKILL or "the same command goes on" in err
    assert not Path("list.json").exists()
    before = rows.read_text()
    # The one that is done is not run again, or there would be a second row.
    assert validate(capsys, path, "--out", str(rows), "--limit", "1")[0] == 3
    assert rows.read_text() == before and before.count("\n") == 1


def test_ids_that_would_act_on_the_terminal_are_escaped(tmp_path, capsys, three):
    path = str(write_problems(tmp_path / "bad.jsonl", [known(WRONG, id="a\x1b]0;b\x07")]))
    assert "a\\x1b]0;b\\x07: quarantine\n" in validate(capsys, path)[1]


def test_the_time_to_go_is_judged_by_the_tests_that_are_left(monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr("rlef.jobs.certify.time.monotonic", lambda: now[0])
    progress = certify_job._Progress(3, 1000, said.append)
    progress.known(800)  # kept from before: no time was spent on them
    progress.done()
    for at in range(1, 5):
        now[0] = 9.0 * at
        progress.ran(20)
    assert said == ["1 of 3 problems, 72 s to go", "1 of 3 problems, 54 s to go"]
