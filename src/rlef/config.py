"""Every setting of rlef on one page. Records are frozen; units are in field names or docstrings.

`rlef.settings` puts a run's configuration together.
"""

from __future__ import annotations

import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError


class Record(BaseModel):
    """Base of all configuration records: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Data(Record):
    """Which problems a run learns from and is measured on."""

    train: str = "conventions"
    """Data set name or path of a JSONL file."""
    test: str = ""
    """Data set for held-out figures; empty means the same as ``train``."""
    families: tuple[str, ...] = ()
    """Keep only these families; empty keeps all."""
    after: str = ""
    """Keep only problems published on this day or later, ``2024-08-01``; empty keeps all. Problems
    without a date are left out."""
    before: str = ""
    """Keep only problems published before this day."""
    solutions: int | None = Field(default=None, ge=0)
    """Most known-good and most known-bad programs that a problem of a benchmark keeps. Training needs
    none, random feedback one known-bad one; all of CodeContests' are gigabytes."""
    limit: int | None = Field(default=None, ge=1)
    """Keep only the first ``limit`` problems of every split; tables say so."""
    quarantine: str = "auto"
    """Problems to leave out because no verdict on them can be trusted (``rlef data validate``):
    ``auto`` for the bundled lists and ``quarantine/NAME.json``, ``none``, or the path of a list."""

    @field_validator("after", "before", mode="before")
    @classmethod
    def _day(cls, value: object) -> object:
        if isinstance(value, datetime.date):  # so YAML reads a day that is not in quotation marks
            value = value.isoformat()
        try:
            return value and datetime.date.fromisoformat(str(value)).isoformat()
        except ValueError:
            raise PydanticCustomError("day", "must be a day, written as 2024-05-31") from None


class Sandbox(Record):
    """How untrusted programs are run."""

    floor: Literal["L0", "L1", "L2", "L3"] = "L2"
    """Weakest isolation to accept; less is an error, never a fallback. The strongest that the machine
    has is used. ``L0`` is none worth the name: programs may read what you may."""
    slots: int = Field(default=0, ge=0)
    """Programs run at a time; 0 means one for each CPU."""
    recycle: int = Field(default=1000, ge=1)
    """Programs that a slot runs before it is replaced by a fresh one."""
    python: str = ""
    """Path of the interpreter for Python programs, 3.11 or later; empty for the one that runs rlef."""
    preload: tuple[str, ...] = ()
    """Modules outside the library that programs may import, loaded once for all of them: numpy.
    They are trusted: importing them happens before the jail closes."""
    import_path: tuple[str, ...] = ()
    """Directories to find them in; empty for the installed packages of the interpreter."""


class Episode(Record):
    """The multi-turn environment (RLEF paper, section 2 and appendix C.1)."""

    turns: int = Field(default=3, ge=1)
    """Most attempts in an episode."""
    feedback: Literal["own", "none", "random", "pass_fail"] = "own"
    """What the policy reads after a failure: its own feedback, nothing but the request
    to retry, the feedback of another problem's program (appendix C.2), or only how many public
    tests failed."""
    stop_on_public_pass: bool = True
    """False for training without feedback, which always takes all turns (appendix B.5)."""
    prompt_tokens: int = Field(default=2048, ge=16)
    """Cap of the opening message; longer ones lose their left end."""
    feedback_tokens: int = Field(default=1024, ge=16)
    """Cap of one feedback message; longer ones lose their right end."""
    response_tokens: int = Field(default=1024, ge=1)
    """Cap of one model turn; a turn cut off by it is invalid."""
    test_chars: int = Field(default=512, ge=32)
    """Cap of one text (input, output, stack trace) quoted in feedback."""
    shown_failures: int = Field(default=0, ge=0)
    """Most failing tests that a feedback message shows; 0 shows all."""
    style: Literal["plain", "terse"] = "plain"
    """Wording of the messages: ``plain`` English, or ``terse`` for the tiny model."""
    request: str = ""
    """In terse messages, what every feedback ends with; ``plain`` has its own."""


class Reward(Record):
    """Rewards of the environment (RLEF paper, section 2.2)."""

    solved: float = 1.0
    failed: float = -1.0
    invalid: float = -0.2
    """Added for invalid code on a turn that is not the last."""
    kl: float = Field(default=0.05, ge=0)
    """Beta of the KL term inside the reward: per turn, mean over its tokens (appendix A.1)."""


class Lora(Record):
    """Low-rank adapters; rank 0 trains all weights."""

    rank: int = Field(default=0, ge=0)
    alpha: float = 32.0


class Demonstration(Record):
    """One earlier exchange, shown before the opening message (few-shot; paper, appendix C.3)."""

    user: str
    assistant: str


class Model(Record):
    """The policy's initial weights, and what stands before every conversation."""

    path: str = "tiny"
    """``tiny`` (bundled), ``smollm2`` (see ``rlef model get``), a folder or a hub id."""
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora: Lora = Lora()
    system: str | None = None
    """System message; None sends none where the template allows it."""
    demonstrations: tuple[Demonstration, ...] = ()
    """Exchanges that every conversation begins with."""


class Endpoint(Record):
    """A server of models with OpenAI's interface, instead of a model in this process.

    Prompts and feedback are sent whole: ``episode.prompt_tokens`` and ``feedback_tokens`` need the model's
    own tokenizer. A conversation that the server calls too long ends its episode as a failure.
    """

    url: str = ""
    """Base URL, e.g. ``http://127.0.0.1:8000/v1``; ``model.path`` is the name that the server
    knows. The key is read from ``OPENAI_API_KEY``. Empty for a model in this process."""
    concurrency: int = Field(default=16, ge=1)
    """Most requests on their way."""
    retries: int = Field(default=8, ge=0)
    """Times that a request is sent again after a failure that may pass, with growing pauses."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds after which an answer is no longer waited for; also the longest pause that a server gets
    by asking for it."""
    max_unanswered: float = Field(default=0.05, ge=0, le=1)
    """Share of conversations at which a server may fail (500), however often it is asked, although it
    replies to a word. They are dropped and counted. With more of them the evaluation stops; with 0, at
    the first."""
    body: dict[str, Any] = {}
    """More fields of every request, ``{reasoning_effort: low}``; null leaves a field out, ``{seed: null}``,
    for servers that refuse it."""

    @field_validator("body")
    @classmethod
    def _ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted({"model", "messages", "n", "stream"} & value.keys()):
            raise PydanticCustomError("body", "must not hold {taken}", {"taken": ", ".join(taken)})
        return value

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise PydanticCustomError("url", "must begin with http:// or https://")
        if "@" in value.partition("://")[2].partition("/")[0] or "?" in value or "#" in value:
            # It would stand in config.yaml, in provenance.json and in every error line.
            raise PydanticCustomError(
                "url", "must hold no password, ? or #; the key is read from OPENAI_API_KEY"
            )
        return value


class Sampling(Record):
    """How turns are sampled."""

    temperature: float = 1.0
    """Of the turns that are learnt from; above 0. See ``evaluation.temperature`` for the others."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    rows: int = Field(default=64, ge=1)
    """Conversations written at a time."""
    lag: int = Field(default=16, ge=0)
    """Tokens after which a finished turn's verdict is waited for. The schedule depends on
    this number and never on time, which is what makes a run repeat bit for bit."""
    threads: int = Field(default=1, ge=1)
    """Torch threads while sampling. One leaves the other CPUs to the sandbox, which is right for
    small models; a large one fills all CPUs and keeps the sandbox waiting for its tokens anyway."""

    @field_validator("temperature")
    @classmethod
    def _random(cls, value: float) -> float:
        if not value > 0:
            raise PydanticCustomError(
                "greedy",
                "must be above 0, greedy turns teach nothing; evaluation.temperature=0 measures them",
            )
        return value


class Algorithm(Record):
    """From episodes to an update (RLEF paper, section 2.2 and appendix A.1)."""

    objective: Literal["ppo", "rejection"] = "ppo"
    """``ppo``, or ``rejection``: supervised on the last response of the policy's own solved
    episodes (appendix A.3)."""
    credit: Literal["turn", "token", "rloo", "grpo", "none"] = "turn"
    """Advantage: value per turn, value per token (appendix B.6), group baselines, or the
    plain return."""
    gamma: float = Field(default=1.0, ge=0, le=1)
    lam: float = Field(default=1.0, ge=0, le=1)
    problems: int = Field(default=64, ge=1)
    """Problems per step."""
    samples: int = Field(default=4, ge=1)
    """Episodes per problem and step."""
    minibatches: int = Field(default=4, ge=1)
    """Optimiser updates per step; each episode is used once per epoch."""
    epochs: int = Field(default=1, ge=1)
    clip: float = Field(default=0.2, gt=0)
    value_clip: float = Field(default=0.2, gt=0)
    truncate: float = Field(default=1.0, gt=0)
    """Cap of the importance weight against the behaviour policy."""
    recompute: bool = True
    """Take old log-probabilities from the training forward. False takes the sampler's own,
    which are those of the same weights to 1e-4, and saves a pass over the batch."""
    normalise: bool = True
    """Advantages to mean 0 and deviation 1 over the batch's turns; the group baselines keep
    their zero and are only scaled."""
    lr: float = Field(default=2e-7, gt=0)
    value_lr: float | None = Field(default=None, gt=0)
    """None means ``lr``."""
    weight_decay: float = Field(default=0.1, ge=0)
    warmup: int = Field(default=50, ge=0)
    """Optimiser updates of linear warm-up, then constant."""
    grad_clip: float = Field(default=1.0, gt=0)
    microbatch_tokens: int = Field(default=8192, ge=1)
    """Most padded tokens in one forward and backward pass; does not change the update."""


class WarmStart(Record):
    """Supervised training on synthesised episodes of ``conventions``, before the first step."""

    steps: int = Field(default=0, ge=0)
    lr: float = Field(default=1e-3, gt=0)
    batch: int = Field(default=64, ge=1)
    repair_right: float = Field(default=0.5, ge=0, le=1)
    """Share of second and third turns that make the right repair; the others try another
    convention at random, so that there is something left to learn."""
    broken: float = Field(default=0.04, ge=0, le=1)
    """Share of programs that lose a character, so that error messages are seen too."""


class Evaluation(Record):
    """Held-out figures."""

    every: int = Field(default=0, ge=0)
    """Steps between readings on ``valid``; 0 for none."""
    valid_problems: int = Field(default=100, ge=1)
    turns: int = Field(default=3, ge=1)
    """Turn limit and sample budget of every condition, whatever the training used."""
    rollouts: int = Field(default=1, ge=1)
    """Multi-turn episodes per problem; single-turn takes ``turns`` times as many samples."""
    temperature: float = Field(default=0.2, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    conditions: tuple[
        Literal[
            "multi_turn", "single_turn", "no_feedback", "random_feedback", "pass_fail", "hidden_feedback"
        ],
        ...,
    ] = ("multi_turn", "single_turn", "no_feedback", "random_feedback")
    """What is compared at the same budget; ``docs/measures.md`` says what each one shows."""


class Config(Record):
    """One run."""

    name: str = "custom"
    seed: int = 0
    steps: int = Field(default=100, ge=0)
    save_every: int = Field(default=10, ge=1)
    """Steps between checkpoints; the last three are kept."""
    threads: int = Field(default=0, ge=0)
    """Torch threads while learning; 0 means one for each CPU."""
    track: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ()
    """Trackers besides ``metrics.jsonl``, which is always written. Each is an extra of the
    same name, e.g. ``pip install 'rlef[wandb]'``."""
    max_judge_errors: float = Field(default=0.05, ge=0, le=1)
    """Share of episodes dropped for judge errors at which a run stops."""
    data: Data = Data()
    sandbox: Sandbox = Sandbox()
    episode: Episode = Episode()
    reward: Reward = Reward()
    model: Model = Model()
    endpoint: Endpoint = Endpoint()
    sampling: Sampling = Sampling()
    algorithm: Algorithm = Algorithm()
    warm_start: WarmStart = WarmStart()
    evaluation: Evaluation = Evaluation()
