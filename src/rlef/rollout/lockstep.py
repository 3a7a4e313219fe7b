"""Episodes with a model: many conversations written at once, judged while others are written.

How it works. One loop steps the engine, a token for every live conversation. A turn that
ends starts a judging task at once; the sandbox works on it in other processes while the
loop goes on. Its verdict is used in the order in which turns ended, ``Sampling.lag`` steps
after the end (waited for if it is not there by then), or as soon as nothing is left to
write. So which rows share a batch, and with it every bit of the floating-point results,
depends on the sampled tokens only, never on how long a program ran.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rlef.config import Episode as EpisodeConfig
from rlef.config import Reward, Sampling
from rlef.episode import env
from rlef.episode.record import Episode, Turn
from rlef.errors import ConfigError
from rlef.judge.judge import Judging
from rlef.policy.types import ChatCodec, Completion, Engine, TurnRequest
from rlef.rollout.spec import RolloutSpec, turn_seed


async def roll_out(
    specs: Sequence[RolloutSpec],
    engine: Engine,
    codec: ChatCodec,
    judge: Judging,
    config: EpisodeConfig,
    rewards: Reward,
    sampling: Sampling,
    on_episode: Callable[[Episode], None] | None = None,
    *,
    on_wait: Callable[[float], None] | None = None,
    max_context: int | None = None,
) -> list[Episode]:
    """Write an episode for each spec; return them in the order of the specs.

    ``on_episode`` is called as each one ends, ``on_wait`` with the seconds for which nothing
    was written because a verdict was not there yet. An episode whose next turn would not fit
    into ``max_context`` tokens ends as a failure with ``stop="context_full"``. Raises
    ``ConfigError`` if not even a first turn is sure to fit. When it is interrupted, the
    engine's conversations are released and the judging tasks cancelled.
    """
    if max_context is not None and config.prompt_tokens + config.response_tokens > max_context:
        raise ConfigError(
            f"episode.prompt_tokens + episode.response_tokens is "
            f"{config.prompt_tokens + config.response_tokens}, over the model's context of {max_context}"
        )
    loop = _Loop(
        engine=engine,
        codec=codec,
        judge=judge,
        config=config,
        rewards=rewards,
        sampling=sampling,
        on_episode=on_episode,
        on_wait=on_wait,
        max_context=max_context,
    )
    try:
        return await loop.run(specs)
    finally:
        await loop.stop()


@dataclass(slots=True, kw_only=True)
class _Conversation:
    key: int
    """Position of its spec."""
    state: env.State
    episode: Episode


@dataclass(slots=True, kw_only=True)
class _Pending:
    """A turn whose verdict is on its way."""

    due: int
    """Engine step at which the verdict is used."""
    conversation: _Conversation
    turn: Turn
    task: asyncio.Task[env.Transition]


@dataclass(slots=True, kw_only=True)
class _Loop:
    engine: Engine
    codec: ChatCodec
    judge: Judging
    config: EpisodeConfig
    rewards: Reward
    sampling: Sampling
    on_episode: Callable[[Episode], None] | None
    on_wait: Callable[[float], None] | None
    max_context: int | None
    open: dict[int, _Conversation] = field(default_factory=dict)
    pending: deque[_Pending] = field(default_factory=deque)
    requests: list[TurnRequest] = field(default_factory=list)
    """Turns to be submitted before the next step."""
    writing: int = 0
    """Turns submitted and not ended."""
    steps: int = 0

    async def run(self, specs: Sequence[RolloutSpec]) -> list[Episode]:
        waiting = deque(enumerate(specs))
        ended: dict[int, Episode] = {}
        while waiting or self.open:
            while self.pending and (self.pending[0].due <= self.steps or not self.writing):
                conversation = await self._consume(self.pending.popleft())
                if conversation is not None:
                    ended[conversation.key] = self._close(conversation)
            while waiting and len(self.open) < self.engine.capacity:
                self._admit(*waiting.popleft())
            self._submit()
            if self.writing:
                self._step()
            await asyncio.sleep(0)  # lets verdicts that have arrived be taken in
        return [ended[key] for key in range(len(specs))]

    async def stop(self) -> None:
        """Release and cancel whatever is left after an error or an interrupt."""
        tasks = [pending.task for pending in self.pending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        unknown = {request.key for request in self.requests if self.open[request.key].state.turn == 0}
        for key in self.open.keys() - unknown:
            self.engine.release(key)

    def _admit(self, key: int, spec: RolloutSpec) -> None:
        state, prompt = env.start(spec.problem, self.config, foreign=spec.foreign, seed=spec.seed)
        episode = spec.episode(prompt)
        conversation = _Conversation(key=key, state=state, episode=episode)
        self.open[key] = conversation
        self._ask(conversation, self.codec.opening(prompt, max_tokens=self.config.prompt_tokens))

    def _ask(self, conversation: _Conversation, observation: tuple[int, ...]) -> None:
        """Queue the next turn of a conversation."""
        conversation.episode.append_observation(observation)
        self.requests.append(
            TurnRequest(
                key=conversation.key,
                observation=observation,
                seed=turn_seed(conversation.episode.seed, conversation.state.turn),
                max_new_tokens=self.config.response_tokens,
                temperature=self.sampling.temperature,
                top_p=self.sampling.top_p,
            )
        )

    def _submit(self) -> None:
        if self.requests:
            self.engine.submit(self.requests)
            self.writing += len(self.requests)
            self.requests = []

    def _step(self) -> None:
        ended = self.engine.step()
        self.steps += 1
        self.writing -= len(ended)
        for key, completion in ended:
            self.pending.append(self._take(self.open[key], completion))

    def _take(self, conversation: _Conversation, completion: Completion) -> _Pending:
        turn = conversation.episode.append_turn(
            completion.ids,
            completion.logprobs,
            text=completion.text,
            offsets=completion.offsets,
            finish=completion.finish,
        )
        moving = env.step(conversation.state, turn.text, turn.finish, self.judge, self.config, self.rewards)
        due = self.steps + self.sampling.lag
        return _Pending(due=due, conversation=conversation, turn=turn, task=asyncio.ensure_future(moving))

    async def _consume(self, pending: _Pending) -> _Conversation | None:
        """Take a verdict in; return the conversation if it is over."""
        moved = await self._verdict(pending.task)
        conversation, turn = pending.conversation, pending.turn
        conversation.state = moved.state
        env.take(conversation.episode, turn, moved)
        if moved.observation is None:
            return conversation
        ids = self.codec.reply(
            moved.observation, max_tokens=self.config.feedback_tokens, closed=turn.finish == "stop"
        )
        if not self._fits(conversation.episode, ids):
            env.context_full(conversation.episode, self.rewards)
            return conversation
        turn.feedback = moved.observation
        if len(ids) >= self.config.feedback_tokens:  # cut, or nearly: the text of the ids is the truth
            turn.feedback_read = self.codec.decode(ids)[0]
        self._ask(conversation, ids)
        return None

    async def _verdict(self, task: asyncio.Task[env.Transition]) -> env.Transition:
        if task.done() or self.on_wait is None:
            return await task
        began = time.perf_counter()
        moved = await task
        self.on_wait(time.perf_counter() - began)
        return moved

    def _fits(self, episode: Episode, observation: Sequence[int]) -> bool:
        length = len(episode.ids_T) + len(observation) + self.config.response_tokens
        return self.max_context is None or length <= self.max_context

    def _close(self, conversation: _Conversation) -> Episode:
        del self.open[conversation.key]
        self.engine.release(conversation.key)
        if self.on_episode is not None:
            self.on_episode(conversation.episode)
        return conversation.episode
