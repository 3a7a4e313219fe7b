"""Traces: what is read back is what was lived."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.episode.record import Episode
from rlef.episode.trace import from_row, to_row
from rlef.errors import DataError
from rlef.judge.types import HiddenReport, PublicReport, TestReport, Verdict

text = st.text(max_size=8)
numbers = st.floats(-50, 0, allow_nan=False)
tests = st.builds(
    TestReport,
    verdict=st.sampled_from(Verdict),
    input=text,
    expected=text,
    got=text,
    error=text,
    index=st.integers(0, 99),
    checker_message=text,
    cpu_s=st.floats(0, 9),
    peak_bytes=st.integers(0, 2**40),
)


def reports(kind):
    found = st.lists(tests, min_size=1, max_size=3).map(tuple)
    return st.none() | st.builds(
        lambda t, more: kind(tests=t, total=len(t) + more, rung="L2"), found, st.integers(0, 2)
    )


@st.composite
def episodes(draw):
    episode = Episode(
        problem_id=draw(text),
        draw=draw(st.integers(0, 9)),
        sample=draw(st.integers(0, 9)),
        seed=draw(st.integers(0, 2**63)),
        prompt=draw(text),
        stop=draw(st.sampled_from([None, "public_passed", "turn_limit", "judge_error", "no_reply"])),
        family=draw(text),
        meta=draw(st.dictionaries(text, st.integers(), max_size=2)),
    )
    tokens = st.lists(st.integers(0, 10**6), min_size=1, max_size=4)
    for _ in range(draw(st.integers(0, 3))):
        episode.append_observation(draw(tokens))
        ids = draw(tokens)
        logprobs = draw(st.lists(numbers, min_size=len(ids), max_size=len(ids)))
        turn = episode.append_turn(
            ids, logprobs, text=draw(text), offsets=tuple(range(len(ids))), finish="stop"
        )
        turn.code, turn.invalid = draw(st.none() | text), draw(st.sampled_from(["", "no_code"]))
        turn.public, turn.hidden = draw(reports(PublicReport)), draw(reports(HiddenReport))
        turn.feedback, turn.feedback_read, turn.reward = draw(text), draw(text), draw(st.floats(-1, 1))
    if draw(st.booleans()):
        episode.append_observation(draw(tokens))
    return episode


@settings(deadline=None, max_examples=60)
@given(episodes())
def test_an_episode_survives_the_journey_through_a_line_of_json(episode):
    line = json.dumps(to_row(episode) | {"step": 3}, ensure_ascii=True)
    assert "\n" not in line
    assert from_row(json.loads(line)) == episode


def whole():
    episode = Episode(problem_id="p")
    episode.append_observation([1, 2])
    episode.append_turn([3, 4], [-0.1, -0.2], text="ab", offsets=(0, 1), finish="stop")
    return to_row(episode)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("ids"),
        lambda row: row["ids"].pop(),
        lambda row: row["turns"][0]["logprobs"].pop(),
        lambda row: row["turns"][0].update(start=0),
        lambda row: row["turns"][0].update(public={"tests": [], "total": 0, "rung": ""}),
        lambda row: row["turns"][0].update(public={"tests": [{"verdict": "fine"}], "total": 1, "rung": ""}),
        lambda row: row.update(turns=None),
    ],
)
def test_a_row_that_is_not_whole_is_refused(spoil):
    row = whole()
    from_row(row)
    spoil(row)
    with pytest.raises(DataError, match="not a trace"):
        from_row(row)
