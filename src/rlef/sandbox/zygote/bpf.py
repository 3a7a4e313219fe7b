"""A tiny assembler for seccomp filters, and an interpreter that the tests run them on."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOAD, JUMP_EQ, JUMP_GE, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
NR, ARCH, ARGS = 0, 4, 16  # offsets in struct seccomp_data

Instruction = tuple[int, int, int, int]
"""Code, skip if true, skip if false, constant."""


@dataclass(frozen=True)
class Check:
    """Holds if ``(argument & mask) == one of values`` (low 32 bits, little endian)."""

    argument: int
    values: Sequence[int]
    mask: int = 0xFFFFFFFF
    also: Sequence[Check] = ()
    """Further checks that must hold."""
    action: int = ALLOW
    """What the kernel then does."""


@dataclass(frozen=True)
class Policy:
    """Which system calls a process may make, and what the others get."""

    arch: int
    allow: Sequence[int]
    checks: Mapping[int, Sequence[Check]]
    """System call number to alternatives: the first that holds decides; none refuses the call."""
    errnos: Mapping[int, int]
    """System call number to the errno it gets, if it has no checks or none of them holds."""
    otherwise: int
    """The errno of a call whose checks all fail and that ``errnos`` does not name."""
    default: int
    """What the kernel does with calls that are not named."""
    x32_bit: int = 0
    """Numbers from here on are another ABI (x86 only): the process is killed."""


def assemble(policy: Policy) -> list[Instruction]:
    """Compile a policy. Foreign architectures are killed."""
    code: list[Instruction] = [
        (LOAD, 0, 0, ARCH),
        (JUMP_EQ, 1, 0, policy.arch),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NR),
    ]
    if policy.x32_bit:
        code += [(JUMP_GE, 0, 1, policy.x32_bit), (RETURN, 0, 0, KILL_PROCESS)]
    for number in policy.allow:
        code += [(JUMP_EQ, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for number, errno in policy.errnos.items():
        if number not in policy.checks:
            code += [(JUMP_EQ, 0, 1, number), (RETURN, 0, 0, ERRNO | errno)]
    for number, checks in policy.checks.items():
        body = [step for check in checks for step in _alternative(check)]
        body.append((RETURN, 0, 0, ERRNO | policy.errnos.get(number, policy.otherwise)))
        code += [(JUMP_EQ, 0, len(body), number), *body]
    code.append((RETURN, 0, 0, policy.default))
    return code


def _alternative(check: Check) -> list[Instruction]:
    """Return the check's action if all of it holds, else fall through."""
    code: list[Instruction] = [(RETURN, 0, 0, check.action)]
    for part in reversed([check, *check.also]):
        code = [*_load(part), *_jumps_past(part.values, len(code)), *code]
    return code


def _load(check: Check) -> list[Instruction]:
    load = (LOAD, 0, 0, ARGS + 8 * check.argument)
    return [load] if check.mask == 0xFFFFFFFF else [load, (AND, 0, 0, check.mask)]


def _jumps_past(values: Sequence[int], rest: int) -> list[Instruction]:
    """Go on if the accumulator is one of ``values``, else skip the ``rest`` instructions that follow."""
    last = len(values) - 1
    return [(JUMP_EQ, last - k, 0 if k < last else rest, value) for k, value in enumerate(values)]


def encode(code: Sequence[Instruction]) -> bytes:
    """The filter as an array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *step) for step in code)


def interpret(code: Sequence[Instruction], arch: int, number: int, args: Sequence[int] = ()) -> int:
    """What the kernel would answer to a system call."""
    padded = [*args, *([0] * (6 - len(args)))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *(a & (2**64 - 1) for a in padded))
    at = accumulator = 0
    while True:
        operation, yes, no, constant = code[at]
        at += 1
        if operation == RETURN:
            return constant
        if operation == LOAD:
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif operation == AND:
            accumulator &= constant
        else:
            at += yes if _jumps(operation, accumulator, constant) else no


def _jumps(operation: int, accumulator: int, constant: int) -> bool:
    return accumulator == constant if operation == JUMP_EQ else accumulator >= constant
