"""What a batch of episodes did, as figures for ``metrics.jsonl``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rlef.episode.record import Episode, Turn


def summarise(episodes: Sequence[Episode]) -> dict[str, float]:
    """Shares over the episodes that were judged; tokens and verdicts over their turns.

    ``solved`` all tests passed in the end; ``solved_first`` in the first turn;
    ``fixed`` solved although the first turn failed; ``public_passed`` the last program
    passed the public tests; ``invalid`` share of turns without valid code;
    ``repeated`` share of later turns that resubmit the same program.
    """
    judged = [e for e in episodes if not e.dropped and e.turns]
    figures = {"dropped": float(sum(e.dropped for e in episodes)), "episodes": float(len(episodes))}
    if not judged:
        return figures
    turns = [turn for e in judged for turn in e.turns]
    later = [(a, b) for e in judged for a, b in zip(e.turns, e.turns[1:], strict=False)]
    count = len(judged)
    figures |= {
        "solved": sum(e.solved for e in judged) / count,
        "solved_first": sum(e.solved and len(e.turns) == 1 for e in judged) / count,
        "fixed": sum(e.solved and len(e.turns) > 1 for e in judged) / count,
        "public_passed": sum(_passed(e.turns[-1]) for e in judged) / count,
        "turns_mean": len(turns) / count,
        "invalid": sum(bool(turn.invalid) for turn in turns) / len(turns),
        "repeated": sum(a.code is not None and a.code == b.code for a, b in later) / max(1, len(later)),
        "response_tokens": sum(turn.end - turn.start for turn in turns) / len(turns),
        "episode_tokens": sum(len(e.ids_T) for e in judged) / count,
    }
    verdicts = Counter(turn.public.verdict.value for turn in turns if turn.public)
    return figures | {f"verdict/{name}": n / len(turns) for name, n in sorted(verdicts.items())}


def _passed(turn: Turn) -> bool:
    return turn.public is not None and turn.public.passed
