"""What a process does to itself for good: no capabilities, no new ones, no files, no calls."""

from __future__ import annotations

import os

from . import bare, kernel, landlock, seccomp
from .steps import Boot, Mirror, refused


def everything(boot: Boot, mirror: Mirror, allowed: list[tuple[str, int]], grants: list[str]) -> None:
    """Capabilities, privileges, Landlock, seccomp; without namespaces, each test's own part too."""
    keep = 1 << kernel.CAP_SYS_ADMIN if boot.apart else 0  # to make pid namespaces; tests drop it
    held = {keep} if boot.apart else {0}
    boot.step(
        "capabilities",
        lambda: _drop_capabilities(keep),
        lambda: (
            mirror.capabilities("Inh", "Amb") == {0}
            and mirror.capabilities("Eff", "Prm", *(["Bnd"] if boot.apart else [])) == held
        ),
    )
    boot.step(
        "no new privileges",
        lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1),
        lambda: mirror["NoNewPrivs"] == "1",
    )
    abi = min([landlock.version(), *boot.masked("abi")]) if not refused(landlock.version) else 0
    outside = os.getppid()  # the launcher; 0 in a pid namespace
    boot.step(
        "landlock",
        lambda: landlock.restrict(allowed, abi or landlock.version()),
        lambda: (
            refused(os.listdir, "/")
            and (not outside or not landlock.scopes(abi) or refused(os.kill, outside, 0))
        ),
    )
    if not boot.apart:
        _own_part(boot, abi)
        grants = [*grants, "alone"]
    before = mirror.filters()
    boot.step(
        "seccomp",
        lambda: seccomp.load(grants, boot.masked("allow")),
        lambda: mirror.filters() > before or (mirror["Seccomp_filters"] == "" and before == 1),
    )


def _own_part(boot: Boot, abi: int) -> None:
    """What each test does for itself, rehearsed while the filter lets us ask how it went."""
    if landlock.scopes(abi):
        boot.step("own domain", bare.make_domain, bare.domain_holds)
    boot.step("own filter", bare.make_filter, bare.filter_holds)
    if boot.optional:
        bare.forget(domain=bool(boot.steps.get("own domain")), filter=bool(boot.steps["own filter"]))


def _drop_capabilities(keep: int) -> None:
    drop_bounding(keep)
    kernel.capset(keep)


def drop_bounding(keep: int) -> None:
    """Give up for good all capabilities but the one in the mask ``keep``."""
    for capability in range(kernel.CAP_LAST + 1):
        if keep == 1 << capability:
            continue
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last that this kernel knows, or without the right to: then we hold none
