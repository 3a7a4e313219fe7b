"""Programs in other languages: they end as they should, and a language can be added."""

# ruff: noqa: E501 (programs read better whole)

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import rlef.config
from rlef.errors import SandboxUnavailable, UserError
from rlef.sandbox import RunLimits, RunResult, Status, languages, native, run_once
from rlef.sandbox.languages import paths, record
from rlef.sandbox.languages.survey import survey
from sandbox_help import Bench, needs, opened

MIB = 2**20
SEGV, ABRT, FPE, ILL = (int(n) for n in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL))
LIMITS = {"cpu_s": 0.5, "wall_s": 2.0, "memory_bytes": 64 * MIB, "output_bytes": 10_000}


@pytest.fixture(scope="module", params=["started in C", "started in Python"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "started in Python":
            patch.setenv("RLEF_NATIVE", "0")
        elif reason := native.reason():
            pytest.skip(reason)
        with opened() as bench:
            yield bench


def _ending(result: RunResult) -> tuple[Status, int]:
    return result.status, result.signal or result.exit_code


CPP = {
    "sum": ("#include <iostream>\nint main() { long s = 0, x; while (std::cin >> x) s += x; std::cout << s; }", Status.EXITED, 0),
    "exit code": ("int main() { return 3; }", Status.EXITED, 3),
    "exit handler": ("#include <cstdlib>\nint main() { atexit([] { _Exit(4); }); }", Status.EXITED, 4),
    "failed assertion": ("#include <cassert>\nint main() { assert(1 == 2); }", Status.SIGNALLED, ABRT),
    "uncaught exception": ("#include <stdexcept>\nint main() { throw std::runtime_error(\"boo\"); }", Status.SIGNALLED, ABRT),
    "bad pointer": ("int main() { *(volatile int *)8 = 1; }", Status.SIGNALLED, SEGV),
    "division by zero": ("int main(int n, char **) { volatile int zero = 0; return n % zero; }", Status.SIGNALLED, FPE),
    "illegal instruction": ("int main() { __builtin_trap(); }", Status.SIGNALLED, ILL),
    "wrong free": ("#include <cstdlib>\nint main() { char *volatile p = (char *)malloc(64); free(p + 16); }", Status.SIGNALLED, ABRT),
    "endless recursion": ("int f(int n) { volatile char b[1000]; b[0] = n; return f(n + 1) + b[0]; }\nint main() { return f(0); }", Status.MEMORY_LIMIT, 9),
    "deep recursion": ("int f(int n) { volatile char b[16]; b[0] = 1; return n ? f(n - 1) + b[0] : 0; }\nint main() { return f(400000) == 400000 ? 0 : 1; }", Status.EXITED, 0),
    "endless allocation": ("#include <vector>\nint main() { std::vector<char> v; for (;;) v.resize(v.size() + 1000000, 1); }", Status.MEMORY_LIMIT, 9),
    "one big allocation": ("#include <vector>\nint main() { std::vector<long> v(1ull << 40); }", Status.MEMORY_LIMIT, ABRT),
    "big array, a little of it used": ("static char a[100 << 20];\nint main() { a[5] = 1; return a[6]; }", Status.EXITED, 0),
    "big array, all of it used": ("static char a[100 << 20];\nint main() { for (int i = 0; i < (100 << 20); i += 4096) a[i] = 1; return a[5]; }", Status.MEMORY_LIMIT, 9),
    "loop": ("int main() { for (volatile int i = 0;;) i = 1; }", Status.CPU_LIMIT, 9),
    "asleep": ("#include <unistd.h>\nint main() { sleep(60); }", Status.IDLE_LIMIT, 9),
    "flood": ("#include <unistd.h>\nint main() { char b[1000] = {}; for (int i = 0; i < 100; i++) write(1, b, 1000); }", Status.OUTPUT_LIMIT, 0),
    "threads": ("#include <thread>\n#include <vector>\n#include <cstdio>\nint main() { std::vector<std::thread> t; for (int i = 0; i < 8; i++) t.emplace_back([] { puts(\"x\"); }); for (auto &x : t) x.join(); }", Status.EXITED, 0),
    "signals it sends itself": ("#include <csignal>\nint main() { raise(SIGTERM); raise(SIGKILL); return 5; }", Status.EXITED, 5),
    "closed streams": ("#include <unistd.h>\nint main() { close(0); close(1); close(2); return 6; }", Status.EXITED, 6),
    "broken pipe": ("#include <csignal>\nint main() { struct sigaction a; sigaction(SIGPIPE, 0, &a); return a.sa_handler == SIG_DFL ? 0 : 1; }", Status.EXITED, 0),
    "no signal blocked": ("#include <csignal>\nint main() { sigset_t s; sigprocmask(0, 0, &s); for (int i = 1; i < 65; i++) if (sigismember(&s, i) > 0) return i; }", Status.EXITED, 0),
    "does not compile": ("int main() { return x; }", Status.COMPILE_ERROR, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CPP)
def test_a_cpp_program_ends_as_it_should(bench: Bench, name: str) -> None:
    needs("cpp")
    source, status, number = CPP[name]
    result = bench.one(source, b"40 2\n", "cpp", **LIMITS)
    if status is Status.MEMORY_LIMIT and number == 9:
        assert result.status is status, result  # by the cgroup's signal where there is one, else by a fault
    else:
        assert _ending(result) == (status, number), result


def test_what_a_dying_program_says_is_kept(bench: Bench) -> None:
    needs("cpp")
    result = bench.one(CPP["failed assertion"][0], b"", "cpp")
    assert b"solution.cpp:2: int main(): Assertion `1 == 2' failed." in result.stderr
    assert b"what():  boo" in bench.one(CPP["uncaught exception"][0], b"", "cpp").stderr


def test_each_test_starts_afresh_and_gets_its_own_input(bench: Bench) -> None:
    needs("cpp")
    source = (
        '#include <cstdio>\nstatic int n;\nint main() { int a; scanf("%d", &a); printf("%d %d", ++n, a); }'
    )
    results = bench.all(source, [b"%d" % k for k in range(40)], "cpp")
    assert [r.stdout for r in results] == [b"1 %d" % k for k in range(40)]


def test_memory_and_time_are_measured(bench: Bench) -> None:
    needs("cpp")
    source = """#include <ctime>
static volatile char all[90 << 20];
int main() { for (int i = 0; i < (90 << 20); i += 512) all[i] = 1; while (clock() < CLOCKS_PER_SEC / 5) {} }"""
    result = bench.one(source, b"", "cpp", cpu_s=5.0)
    assert result.ok and 0.15 < result.cpu_s < 0.5
    assert 80 * MIB < result.peak_bytes < 120 * MIB


def test_arguments_and_files_reach_a_binary_and_come_back(bench: Bench) -> None:
    needs("cpp")
    source = """#include <fstream>
#include <iostream>
int main(int n, char **words) {
    std::ifstream in(words[1]), again("/dev/stdin"); std::string text, more; in >> text; again >> more;
    std::ofstream("out") << text << more << n;
}"""

    async def run() -> list[RunResult]:
        files = [{"in": b"a"}, {"in": b"b"}]
        options = {"files": files, "arguments": ["in", "é"], "collect": {"out": 100}}
        run = bench.sandbox.run(source, [b"x", b"y"], RunLimits(), language="cpp", **options)  # type: ignore[arg-type]
        return [r async for r in run]

    assert [r.files for r in bench.loop.run_until_complete(run())] == [{"out": b"ax3"}, {"out": b"by3"}]


JS = {
    "descriptor 0": ("console.log(require('fs').readFileSync(0, 'utf8').length)", Status.EXITED, 0, b"4\n"),
    "/dev/stdin": ("console.log(require('fs').readFileSync('/dev/stdin', 'utf8').length)", Status.EXITED, 0, b"4\n"),
    "stream": ("let s = ''; process.stdin.on('data', d => s += d); process.stdin.on('end', () => console.log(s.length))", Status.EXITED, 0, b"4\n"),
    "lines": ("require('readline').createInterface({input: process.stdin}).on('line', l => console.log(l))", Status.EXITED, 0, b"1 2\n"),
    "exit code": ("process.exit(3)", Status.EXITED, 3, b""),
    "exception": ("throw new Error('boo')", Status.EXITED, 1, b""),
    "syntax error": ("let x = ;", Status.COMPILE_ERROR, 1, b""),
    "syntax error while it runs": ("JSON.parse('{')", Status.EXITED, 1, b""),
    "loop": ("for (;;);", Status.CPU_LIMIT, 9, b""),
    "asleep": ("setTimeout(() => {}, 1e6)", Status.IDLE_LIMIT, 9, b""),
    "socket": ("require('net').createServer().on('error', e => console.log(e.code)).listen(80)", Status.EXITED, 0, b"EPERM\n"),
    "look-up": ("require('dns').lookup('localhost', e => console.log(e ? 'refused' : 'ESCAPED'))", Status.EXITED, 0, b"refused\n"),
    "child process": ("console.log(require('child_process').spawnSync('/usr/bin/node', ['-v']).error.code)", Status.EXITED, 0, b"EPERM\n"),
    "fork": ("try { require('child_process').fork('solution.js') } catch (e) { console.log(e.code) }", Status.EXITED, 0, b"EPERM\n"),
    "files of the host": ("const fs = require('fs'); for (const f of ['/etc/passwd', '/proc/self/environ', '/root']) try { fs.readFileSync(f); console.log(f) } catch (e) {}", Status.EXITED, 0, b""),
    "environment": ("console.log(Object.keys(process.env).length)", Status.EXITED, 0, b"0\n"),
    "kill itself": ("process.kill(process.pid, 'SIGKILL'); setTimeout(() => console.log('alive'), 5)", Status.EXITED, 0, b"alive\n"),
    "big numbers": ("console.log((2n ** 70n).toString())", Status.EXITED, 0, b"1180591620717411303424\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", JS)
def test_a_javascript_program_ends_as_it_should(bench: Bench, name: str) -> None:
    needs("javascript")
    source, status, number, stdout = JS[name]
    result = bench.one(source, b"1 2\n", "javascript", **(LIMITS | {"memory_bytes": 128 * MIB}))
    assert (_ending(result), result.stdout) == ((status, number), stdout), result


@pytest.mark.parametrize(
    "source", ["const a = []; for (;;) a.push(new Array(1000).fill(1.5))", "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))"],
    ids=["heap", "buffers"],
)  # fmt: skip
def test_javascript_memory_is_limited(bench: Bench, source: str) -> None:
    needs("javascript")
    assert (
        bench.one(source, b"", "javascript", cpu_s=5.0, memory_bytes=64 * MIB).status is Status.MEMORY_LIMIT
    )


def test_javascript_repeats(bench: Bench) -> None:
    needs("javascript")
    first, second = bench.all("console.log(Math.random())", [b"", b""], "javascript")
    assert first.stdout == second.stdout != b""


def test_a_syntax_error_is_one_result_however_many_tests(bench: Bench) -> None:
    needs("javascript")
    (result,) = bench.all("let x = ;", [b""] * 50, "javascript")
    assert b"solution.js:1" in result.stderr and b"SyntaxError" in result.stderr


def test_run_once_speaks_other_languages() -> None:
    needs("cpp")
    needs("javascript")
    assert run_once(CPP["sum"][0], b"40 2", language="cpp").stdout == b"42"
    assert run_once(JS["lines"][0], b"x\n", language="javascript").stdout == b"x\n"
    assert run_once("let x = ;", language="javascript").status is Status.COMPILE_ERROR
    assert run_once("int main() { return x; }", language="cpp").status is Status.COMPILE_ERROR


@pytest.mark.parametrize(
    ("name", "hint"), [("pyton", "did you mean 'python'"), ("C++", "did you mean 'c++'"), ("cobol-85", "known are python, cpp20")]
)  # fmt: skip
def test_a_language_that_is_not_known_is_the_users_mistake(name: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        languages.find(name)
    assert f"no language {name!r}" in str(caught.value) and hint in str(caught.value).replace('"', "'")


def test_a_language_that_is_not_installed_says_how_to_get_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = record.replace(languages.find("javascript"), name="elsewhere", program="no-such-program")
    monkeypatch.setitem(record._known, "elsewhere", missing)
    with pytest.raises(
        SandboxUnavailable, match="needs no-such-program, which is not on PATH; to get it: apt install nodejs"
    ):
        bench.one("1", b"", "elsewhere")


def test_the_language_of_a_file_is_its_suffix() -> None:
    names = {"a.py": "python", "x/b.cc": "cpp20", "c.js": "javascript"}
    assert {name: languages.of_file(Path(name)).name for name in names} == names
    with pytest.raises(UserError, match=r"can't tell the language of x\.f90: known suffixes are \.py, \.cpp"):
        languages.of_file(Path("x.f90"))


# docs/languages.md adds these two, and is held to them.
PERL = languages.Language(
    name="perl",
    suffixes=(".pl",),
    program="perl",
    install="apt install perl",
    run=("{program}", "{source}"),
    check=("{program}", "-c", "{source}"),
    paths=lambda program: paths.output_of(program, "-e", 'print join "\\n", @INC').split(),
    hello="print scalar <STDIN>;",
)
C = languages.Language(
    name="c",
    suffixes=(".c",),
    program="gcc",
    install="apt install gcc",
    compile=("{program}", "-O2", "-static", "-o", "{output}", "{source}", "-lm"),
    paths=paths.gcc,
    hello='#include <stdio.h>\nint main(void) { char s[99]; puts(fgets(s, 99, stdin) ? "hello" : ""); }',
)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_known", dict(record._known))
    monkeypatch.setattr(record, "_nicknames", dict(record._nicknames))
    languages.register(PERL)
    languages.register(C, "c99")


@pytest.mark.parametrize("language", [PERL, C])
def test_the_document_adds_them_in_the_same_words(
    language: languages.Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[1] / "docs/languages.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.setattr(record, "_known", {})
    for block in blocks:
        exec(compile(block, str(page), "exec"), {})
    said = languages.find(language.name)
    assert record.replace(said, paths=language.paths) == language
    if shutil.which(language.program):
        assert list(said.paths(language.program)) == list(language.paths(language.program))


@pytest.mark.usefixtures("added")
def test_an_interpreted_language_can_be_added(bench: Bench) -> None:
    needs("perl")
    good = bench.one(
        "use strict; use warnings; use List::Util 'sum'; print sum(split ' ', <STDIN>);", b"40 2", "perl"
    )
    assert good.stdout == b"42", good
    assert bench.one("print (;", b"", "perl").status is Status.COMPILE_ERROR
    assert _ending(bench.one("exit 3", b"", "perl")) == (Status.EXITED, 3)
    assert (
        bench.one(
            "print 'ESCAPED' if fork; open F, '/etc/passwd' and print 'ESCAPED'; print `id`", b"", "perl"
        ).stdout
        == b""
    )


@pytest.mark.usefixtures("added")
def test_a_compiled_language_can_be_added(bench: Bench) -> None:
    needs("c")
    source = '#include <math.h>\n#include <stdio.h>\nint main(void) { double x; scanf("%lf", &x); printf("%g", sqrt(x)); }'
    assert bench.one(source, b"1764", "c99").stdout == b"42"
    result = bench.one("int main(void) { return x; }", b"", "c")
    assert result.status is Status.COMPILE_ERROR and b"solution.c:1" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suffixes": ("c",)}, "suffixes must be like"),
        ({"suffixes": ()}, "suffixes must be like"),
        ({"compile": ()}, "give either compile or run"),
        ({"run": ("{program}",)}, "give either compile or run"),
        ({"compile": ("gcc", "{source}")}, "must write"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(wrong: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        languages.register(record.replace(C, **wrong))  # type: ignore[arg-type]


@pytest.mark.usefixtures("added")
def test_the_survey_tries_every_language(monkeypatch: pytest.MonkeyPatch) -> None:
    languages.register(record.replace(PERL, name="missing", program="no-such-program"))
    if shutil.which("perl"):
        languages.register(record.replace(PERL, name="broken", hello="print 'something else'"))
    found = {one.name: one for one in survey(rlef.config.Sandbox())}
    assert found["python"].works and found["python"].version.startswith("Python 3.")
    assert not found["missing"].works and "apt install perl" in found["missing"].reason
    for name in ("cpp20", "javascript", "perl"):
        installed = shutil.which(languages.find(name).program) is not None
        assert found[name].works is installed, found[name]
        assert bool(found[name].version) is installed and bool(found[name].reason) is not installed
    if "broken" in found:
        assert not found["broken"].works and "a small program ended" in found["broken"].reason


def test_links_on_the_way_are_shown_and_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/deep/file").write_text("")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/other").symlink_to(tmp_path / "link/deep/file")
    (tmp_path / "loop").symlink_to("loop")
    top = str(tmp_path.resolve())
    seen = dict(paths.shown([f"{top}/link/deep/../other", f"{top}/real/deep", f"{top}/real/deep/file"]))
    assert seen == {path: path for path in (f"{top}/real/deep", f"{top}/link", f"{top}/real/other")}
    paths.shown([f"{top}/loop"])  # comes to an end


def test_both_ways_of_starting_show_a_program_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits, identity, signals, arguments, descriptors, as the program itself sees them."""
    needs("cpp")
    if reason := native.reason():
        pytest.skip(reason)
    source = """#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
extern char **environ;
int main(int n, char **words) {
    for (int k = 1; k < 16; k++) if (k != RLIMIT_AS) {
        rlimit r; getrlimit((__rlimit_resource_t)k, &r); printf("%d: %lld %lld\\n", k, (long long)r.rlim_cur, (long long)r.rlim_max);
    }
    for (int k = 1; k < 65; k++) { struct sigaction a; if (!sigaction(k, 0, &a)) printf("%d", a.sa_handler != SIG_DFL); }
    for (int k = 0; k < 64; k++) if (fcntl(k, F_GETFD) != -1) printf(" fd %d %d", k, fcntl(k, F_GETFL));
    char here[99]; printf(" %s %d %d %d %d %d", getcwd(here, 99), getpid(), getppid(), getuid(), getpgrp(), getsid(0));
    for (int k = 0; k < n; k++) printf(" [%s]", words[k]);
    printf(" %d %ld", environ[0] != 0, lseek(0, 0, SEEK_CUR));
}"""
    seen = []
    for way in ("1", "0"):
        monkeypatch.setenv("RLEF_NATIVE", way)
        with opened() as bench:

            async def both(bench: Bench = bench) -> list[bytes]:
                found = []
                for files in (None, [{}, {}]):
                    run = bench.sandbox.run(
                        source, [b"x"] * 2, RunLimits(), language="cpp", files=files, arguments=["a b"]
                    )
                    found += [r.stdout async for r in run]
                return found

            seen.append(bench.loop.run_until_complete(both()))
    assert seen[0] == seen[1] and len(set(seen[0])) == 2 and seen[0][0]


def test_the_event_loop_is_free_while_a_program_compiles(bench: Bench) -> None:
    needs("cpp")

    async def run() -> int:
        source = "#include <iostream>\nint main() { std::cout << __LINE__; } // takes some tenths of a second"
        task = asyncio.ensure_future(_first(bench, source))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert task.result().ok
        return turns

    assert bench.loop.run_until_complete(run()) > 20


async def _first(bench: Bench, source: str) -> RunResult:
    (result,) = [r async for r in bench.sandbox.run(source, [b""], RunLimits(), language="cpp")]
    return result
