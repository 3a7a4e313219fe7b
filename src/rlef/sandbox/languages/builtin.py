"""The languages that rlef knows from the start, besides Python."""

from __future__ import annotations

from rlef.sandbox.languages import paths
from rlef.sandbox.languages.record import Language, register

_MIB = 2**20


def _cpp(standard: str) -> Language:
    return Language(
        name=f"cpp{standard}",
        suffixes=(".cpp", ".cc", ".cxx"),
        program="g++",
        install="apt install g++",
        compile=(
            "{program}", f"-std=c++{standard}", "-O2", "-static", "-s", "-pipe", "-DONLINE_JUDGE",
            "-fmax-errors=10", "-fdiagnostics-color=never", "-w", "-o", "{output}", "{source}",
        ),
        paths=paths.gcc,
        hello="#include <iostream>\nint main() { std::string s; std::cin >> s; std::cout << s << '\\n'; }",
        precompile="bits/stdc++.h",
    )  # fmt: skip


register(_cpp("20"), "cpp", "c++", "c++20", "cxx")
register(_cpp("17"), "c++17")
register(
    Language(
        name="javascript",
        suffixes=(".js", ".cjs"),
        program="node",
        install="apt install nodejs",
        run=("{program}", "--max-old-space-size={memory_mb}", "--random-seed=1", "{source}"),
        check=("{program}", "--check", "{source}"),
        hello="console.log(require('fs').readFileSync('/dev/stdin', 'utf8').trim())",
        own_bytes=64 * _MIB,
        reserved_bytes=1024 * _MIB,
        stack_bytes=64 * _MIB,
    ),
    "js",
    "node",
)
