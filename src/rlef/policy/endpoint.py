"""A model behind an OpenAI-compatible server: vLLM, llama.cpp, or any other.

The `openai` client carries the requests. What may pass (broken connections, silence, 408, 409, 429,
5xx, an answer that is none) is asked again here, with growing pauses or the one that the server asks for.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from rlef.config import Endpoint as Settings
from rlef.errors import ConfigError, EndpointError, ModelError, RlefError
from rlef.policy.chat import ChatRequest, ContextFullError, Message, NoReplyError, Reply
from rlef.policy.completions import SHOWN, UnreadableError, models_of, parsed, reply_of

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

T = TypeVar("T")
KEY = "OPENAI_API_KEY"
PAUSES = (0.5, 60.0)
"""Seconds before the second try, doubled for each one after it, and the longest."""
_CHECK_RETRIES, _CHECK_S = 2, 30.0
"""Somebody waits for the list of models, to see whether it works."""
_NEWER = "max_completion_tokens"
_TOO_LONG = (
    "context length",
    "context size",
    "context window",
    "context_length",
    "exceed_context",
    "model_len",
    "prompt is too long",
    "input is too long",
    "input token count",
    "`inputs` tokens",
)
"""How OpenAI, vLLM, llama.cpp, SGLang, TGI, Gemini and Anthropic say that a conversation does not fit."""
_FILTERED = ("content_filter", "invalid_prompt")
"""Codes of a request that a provider's filter of contents refuses."""


class Endpoint:
    """A chat model at ``settings.url``. Use as an async context manager.

    ``model`` is the name that the server knows; empty takes the only one it has. The key is read
    from ``OPENAI_API_KEY`` and stored nowhere. Raises ``ConfigError`` without the package `openai`.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        try:
            from openai import AsyncOpenAI
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"an endpoint needs the package {error.name}: pip install 'rlef[endpoint]'"
            ) from None
        self.model = model
        self.settings = settings
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._limit_name = "max_tokens"
        self._client: AsyncOpenAI = AsyncOpenAI(
            base_url=settings.url, api_key=os.environ.get(KEY) or "none", max_retries=0, timeout=None
        )

    @property
    def concurrency(self) -> int:
        """Most requests on their way."""
        return self.settings.concurrency

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def check(self, response_tokens: int = 0) -> None:
        """Ask what models there are, so that a wrong URL, key or name shows before anything is made.

        A server that keeps no list is believed. Raises ``ModelError`` for a name it does not have, and
        ``ConfigError`` if ``response_tokens`` alone fill the context that the server tells of.
        """
        from openai import APIStatusError

        try:
            limits = await self._tried(
                None, models_of, retries=min(self.settings.retries, _CHECK_RETRIES), patience_s=_CHECK_S
            )
        except APIStatusError as error:
            if error.status_code not in (403, 404, 405, 501):  # 403: a key that may chat and may not list
                self._explain(error)
            limits = {}
        except Exception as error:
            self._explain(error)
        if not self.model:
            if len(limits) != 1:
                raise ModelError(f"which model? give --model; {self.settings.url} has {_listed(limits)}")
            (self.model,) = limits
        elif limits and self.model not in limits:
            raise ModelError(f"no model {self.model!r} at {self.settings.url}; it has {_listed(limits)}")
        context = limits.get(self.model, 0)
        if 0 < context <= response_tokens:
            raise ConfigError(
                f"episode.response_tokens={response_tokens} leaves no room for a prompt: "
                f"{self.model} has a context of {context} tokens"
            )

    async def reply(self, request: ChatRequest) -> Reply:
        """The next message; see ``policy.chat.ChatModel`` for what it raises.

        A request that a provider's filter refuses gets an empty reply: the model's answer is none.
        """
        async with self._slots:
            try:
                return await self._either(request, self.settings.retries)
            except Exception as error:
                if _is_filtered(error):
                    return Reply(text="", finish="stop")
                if not _fails_inside(error):
                    self._explain(error)
                return await self._after_a_word(request, error)

    async def _after_a_word(self, request: ChatRequest, failed: Exception) -> Reply:
        """The reply to what the server fails at, if it has one to a word and after that to this, too."""
        word = replace(request, messages=(Message("user", "Hello"),))
        try:
            await self._either(word, _CHECK_RETRIES)
        except Exception:
            self._explain(failed)
        try:
            return await self._either(request, retries=0)
        except Exception as error:
            if _fails_inside(error):
                raise NoReplyError(_words(error)) from None
            self._explain(error)

    async def _either(self, request: ChatRequest, retries: int) -> Reply:
        """Ask with the limit under the name that the server takes; OpenAI's newer models have another."""
        from openai import BadRequestError

        name = self._limit_name
        try:
            return await self._create(request, name, retries)
        except BadRequestError as error:
            if name == _NEWER or _NEWER not in error.message or _is_too_long(error):
                raise
        self._limit_name = _NEWER
        return await self._create(request, _NEWER, retries)

    async def _create(self, request: ChatRequest, limit_name: str, retries: int) -> Reply:
        body = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            limit_name: request.max_tokens,
        } | self.settings.body
        body = {name: value for name, value in body.items() if value is not None}
        return await self._tried(body, reply_of, retries=retries, patience_s=self.settings.timeout_s)

    async def _tried(
        self, body: Mapping[str, Any] | None, read: Callable[[Any], T], *, retries: int, patience_s: float
    ) -> T:
        """A chat completion for ``body``, or the list of models; asked again while that may help."""
        from openai import OpenAIError

        for tried in count():
            try:
                async with asyncio.timeout(patience_s):  # over the whole answer: one may come byte by byte
                    return read(parsed(await self._sent(body)))
            except (OpenAIError, TimeoutError, UnreadableError) as error:
                if tried >= retries or not _may_pass(error):
                    raise
                pause_s = _pause(error, tried, longest=patience_s)
            await asyncio.sleep(pause_s)
        raise AssertionError("the loop has no end of its own")

    async def _sent(self, body: Mapping[str, Any] | None) -> str:
        if body is None:
            return await self._client.get("/models", cast_to=str)
        return await self._client.post("/chat/completions", cast_to=str, body=body)

    def _explain(self, error: Exception) -> NoReturn:
        """Say in one line what went wrong and what to do; what is nobody's mistake but ours is raised."""
        from openai import APIConnectionError, APIStatusError

        url = self.settings.url
        if isinstance(error, APIStatusError):
            raise _of_status(error, url) from None
        if isinstance(error, TimeoutError):
            raise EndpointError(f"{url} is silent; endpoint.timeout_s says how long is waited") from None
        if isinstance(error, APIConnectionError):
            cause = error.__cause__ or error
            raise EndpointError(f"can't reach {url} ({_words(cause)}); is the server running?") from None
        if isinstance(error, UnreadableError):
            raise EndpointError(
                f"{url} gave no chat completion but {_words(error)}; is it an OpenAI-compatible endpoint?"
            ) from None
        raise error


def _may_pass(error: Exception) -> bool:
    """True if the same request may have better luck."""
    from openai import APIStatusError

    if isinstance(error, APIStatusError):
        lasting = error.code == "insufficient_quota" or _is_too_long(error)
        return not lasting and (error.status_code in (408, 409, 425, 429) or error.status_code >= 500)
    return True


def _is_filtered(error: Exception) -> bool:
    """True if a provider's filter of contents refuses the request."""
    from openai import APIStatusError

    return isinstance(error, APIStatusError) and error.status_code == 400 and error.code in _FILTERED


def _fails_inside(error: Exception) -> bool:
    """True if it may be what was asked that the server falls over.

    Gateways say by other numbers, or by breaking off, that it took too long or that there is too much to
    do. To drop what takes long would drop the hardest problems.
    """
    from openai import APIStatusError

    return isinstance(error, APIStatusError) and error.status_code == 500 and not _is_too_long(error)


def _pause(error: Exception, tried: int, longest: float) -> float:
    """Seconds to wait: what the server asked for, up to ``longest``, or ever longer."""
    from openai import APIStatusError

    if isinstance(error, APIStatusError):
        try:
            asked = float(error.response.headers.get("retry-after", ""))
        except ValueError:  # there is none, or it is a date
            asked = math.nan
        if math.isfinite(asked) and asked > 0:
            return min(asked, longest)
    return min(PAUSES[0] * 2.0**tried, PAUSES[1]) * random.uniform(0.75, 1)


def _of_status(error: APIStatusError, url: str) -> Exception:
    status = error.status_code
    text = _words(error).removeprefix(f"Error code: {status} - ")
    if _is_too_long(error):
        return ContextFullError(text)
    if status in (401, 403):
        return ConfigError(f"{url} refuses the key ({text}): set {KEY} to one that it takes")
    kind: type[RlefError] = ConfigError if status < 429 else EndpointError
    hint = "; should the URL end in /v1?" if status in (404, 405) and "/v1" not in url else ""
    return kind(f"{url} answered {status}: {text}{hint}")


def _is_too_long(error: APIStatusError) -> bool:
    """True if the conversation does not fit into the model's context."""
    if error.status_code not in (400, 413, 422, 500):  # 500: llama.cpp, where the reply filled it
        return False
    if error.code in ("context_length_exceeded", "exceed_context_size_error"):
        return True
    text = str(error).lower()
    return any(sign in text for sign in _TOO_LONG)


def _words(error: BaseException) -> str:
    """The error in one line of bounded length, without the key, which some servers repeat."""
    text = " ".join(str(error).split())
    key = os.environ.get(KEY, "")
    return (text.replace(key, "…") if len(key) > 7 else text)[:SHOWN] or type(error).__name__


def _listed(names: Mapping[str, int]) -> str:
    shown = list(names)[:8]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(shown) + more or "no list of models"
