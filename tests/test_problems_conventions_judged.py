"""Every program of every test problem of conventions, run in the sandbox."""

from dataclasses import replace
from random import Random

from judge_help import certify, with_judge
from rlef.learning.warmstart import OracleJudge
from rlef.problems.conventions import FAMILIES, draw_problem, open_split
from rlef.problems.types import Limits


def only(problem, notes):
    kept = tuple(s for s in problem.solutions if s.note.split(":")[0] in notes)
    assert len(kept) == len(notes)
    return replace(problem, solutions=kept)


def test_known_programs_of_all_test_problems_get_their_verdicts():
    problems = list(open_split("test"))
    assert len(problems) == 400
    quick = [only(problem, ("reference", "wrong", "crashing", "greedy")) for problem in problems]
    assert certify(quick) == []
    # An endless loop is one under any limit; the suite's own would take minutes for all.
    slow = [replace(only(problem, ("slow",)), limits=Limits(cpu_s=0.02)) for problem in problems]
    assert certify(slow) == []


def test_an_endless_loop_ends_at_the_suites_own_limit():
    problems = [open_split("test").get(f"conventions/test/{name}/0") for name in FAMILIES]
    assert certify([only(problem, ("slow",)) for problem in problems[::4]]) == []


def test_a_program_declared_wrongly_is_noticed():
    """The test above can fail: the wrong program declared as accepted is reported every time."""
    problems = [open_split("test").get(f"conventions/test/{name}/3") for name in FAMILIES]
    lying = [
        replace(problem, solutions=(replace(problem.solutions[1], verdict="accepted"),))
        for problem in problems
    ]
    assert {item.problem_id for item in certify(lying)} == {problem.id for problem in lying}


def test_the_oracle_reports_what_the_judge_reports():
    """The warm start's short cut: the same reports as running the programs, for every family."""

    def seen(report):
        return report.total, [(t.verdict, t.input, t.expected, t.got.strip()) for t in report.tests]

    async def work(judge):
        oracle = OracleJudge(judge)
        families = set()
        for seed in range(150):
            random = Random(seed)
            problem = draw_problem(random)
            family = FAMILIES[problem.provenance.family]
            families.add(family.name)
            code = family.program(problem.provenance.visible, random.choice(family.conventions()))
            if random.random() < 0.2:
                at = random.randrange(len(code))
                code = code[:at] + code[at + 1 :]
            for kind in ("public", "hidden"):
                guessed = await getattr(oracle, kind)(problem, code)
                ran = await getattr(judge, kind)(problem, code)
                assert seen(guessed) == seen(ran), (problem.id, code)
        assert families == set(FAMILIES)

    with_judge(work)
