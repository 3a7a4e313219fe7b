"""Episodes with a model that takes messages and gives text.

How it works. A fixed number of workers play one episode each, from the list of what is to be
played. There are twice as many as the requests that the model wants on their way: half of them
wait for its replies while the other half's programs are judged. Nothing depends on the order
in which replies come: an episode's seeds hang on what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rlef.config import Episode as EpisodeConfig
from rlef.config import Model, Reward, Sampling
from rlef.episode import env
from rlef.episode.record import Episode, Usage
from rlef.judge.judge import Judging
from rlef.policy.chat import ChatModel, ChatRequest, ContextFullError, Message, NoReplyError, Reply
from rlef.rollout.spec import RolloutSpec, chat_seed


def opening_messages(model: Model) -> tuple[Message, ...]:
    """What stands before every conversation: the system message and the demonstrations."""
    messages = [] if model.system is None else [Message("system", model.system)]
    for shot in model.demonstrations:
        messages += [Message("user", shot.user), Message("assistant", shot.assistant)]
    return tuple(messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPlayer:
    """Plays episodes with a chat model; see ``rollout.player.Player``."""

    model: ChatModel
    judge: Judging
    rewards: Reward
    before: tuple[Message, ...] = ()
    """Messages that every conversation begins with."""

    async def play(
        self,
        specs: Sequence[RolloutSpec],
        config: EpisodeConfig,
        sampling: Sampling,
        on_episode: Callable[[Episode], None],
    ) -> None:
        """Play every spec; hand each episode over as it ends, in no fixed order."""
        waiting = iter(specs)
        tasks = [
            asyncio.ensure_future(self._work(waiting, config, sampling, on_episode))
            for _ in range(min(2 * self.model.concurrency, len(specs)))
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(
        self,
        waiting: Iterator[RolloutSpec],
        config: EpisodeConfig,
        sampling: Sampling,
        on_episode: Callable[[Episode], None],
    ) -> None:
        for spec in waiting:
            on_episode(await self._episode(spec, config, sampling))

    async def _episode(self, spec: RolloutSpec, config: EpisodeConfig, sampling: Sampling) -> Episode:
        state, prompt = env.start(spec.problem, config, foreign=spec.foreign, seed=spec.seed)
        episode = spec.episode(prompt)
        messages = [*self.before, Message("user", prompt)]
        while True:
            try:
                reply = await self.model.reply(_request(messages, spec, state.turn, config, sampling))
            except ContextFullError:
                env.context_full(episode, self.rewards)
                return episode
            except NoReplyError as error:
                env.no_reply(episode, str(error))
                return episode
            turn = episode.append_reply(
                reply.text, finish=reply.finish, usage=Usage(read=reply.read, wrote=reply.wrote)
            )
            moved = await env.step(state, reply.text, reply.finish, self.judge, config, self.rewards)
            state = moved.state
            env.take(episode, turn, moved)
            if moved.observation is None:
                return episode
            turn.feedback = moved.observation
            messages += [_said(reply), Message("user", moved.observation)]


def _request(
    messages: Sequence[Message], spec: RolloutSpec, turn: int, config: EpisodeConfig, sampling: Sampling
) -> ChatRequest:
    return ChatRequest(
        messages=tuple(messages),
        seed=chat_seed(spec.seed, turn),
        max_tokens=config.response_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
    )


def _said(reply: Reply) -> Message:
    return Message("assistant", reply.text)
