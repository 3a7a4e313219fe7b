"""Messages to ids and ids to text, for any transformers tokenizer with a chat template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from rlef.errors import ModelError
from rlef.policy.template import audit

_CUT = "[...]"


class HfChatCodec:
    """A ``ChatCodec`` made from a fast tokenizer whose chat template extends by appending.

    ``system`` is the system message; None sends none, and a template that then inserts
    its own does. ``eos_ids`` are further ids that end a turn, from the model's generation
    config. ``demonstrations`` are pairs of a user and an assistant message that stand before
    every opening message. Raises ``ModelError`` with the reason for a tokenizer that can't be used.
    """

    def __init__(
        self,
        tokenizer: Any,
        system: str | None = None,
        *,
        eos_ids: Collection[int] = (),
        demonstrations: Sequence[tuple[str, str]] = (),
    ) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelError("this tokenizer has no fast form: convert it to tokenizer.json first")
        if not tokenizer.chat_template:
            raise ModelError("this tokenizer has no chat template: take an instruct model or add a template")
        template = tokenizer.get_chat_template()
        pieces = audit(tokenizer, system)
        self._trims_user = pieces.trims_user
        self._backend, digest = _private_copy(backend, template)
        self._control_ids = _control_ids(self._backend, tokenizer)
        self._backend.encode_special_tokens = False
        self._before, self._header, self._after = (
            tuple(self._backend.encode(piece, add_special_tokens=False).ids)
            for piece in (pieces.before, pieces.header, pieces.after)
        )
        # From here on every text is a stranger's, and control tokens in it are only characters.
        self._backend.encode_special_tokens = True
        closing = next((n for n, token in enumerate(self._after) if token in self._control_ids), None)
        ends = set(eos_ids) | ({tokenizer.eos_token_id} - {None})
        if closing is not None:
            ends.add(self._after[closing])
        if not ends:
            raise ModelError(
                "nothing ends a turn: neither the chat template nor the tokenizer has an end token"
            )
        self._end = () if closing is None else (self._after[closing],)
        self._closed = self._after if closing is None else self._after[closing + 1 :]
        self._end_ids = frozenset(int(token) for token in ends)
        self._pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._end_ids)
        self._cut = self._encode(_CUT)
        for user, assistant in demonstrations:
            self._before += self._encode(user) + self._header + self._encode(assistant) + self._after
        known = [digest, template, system, *map(list, demonstrations)]
        self._fingerprint = hashlib.sha256(json.dumps(known).encode()).hexdigest()

    @property
    def end_ids(self) -> frozenset[int]:
        """Ids that end a model turn: the template's end-of-turn and the end-of-text ids."""
        return self._end_ids

    @property
    def pad_id(self) -> int:
        """An id to pad batches with."""
        return int(self._pad_id)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer, its chat template, the system message and the demonstrations."""
        return self._fingerprint

    def opening(self, text: str, *, max_tokens: int) -> tuple[int, ...]:
        """Ids of a conversation that starts with this user message (see ``ChatCodec``)."""
        ids = self._encode(text)
        if len(ids) > max_tokens:
            kept = max(0, max_tokens - len(self._cut))
            ids = (self._cut + ids[len(ids) - kept :])[:max_tokens]
        return self._before + ids + self._header

    def reply(self, text: str, *, max_tokens: int, closed: bool) -> tuple[int, ...]:
        """Ids that follow a model turn (see ``ChatCodec``)."""
        ids = self._encode(text)
        if len(ids) > max_tokens:
            ids = (ids[: max(0, max_tokens - len(self._cut))] + self._cut)[:max_tokens]
        return (self._closed if closed else self._after) + ids + self._header

    def write(self, text: str) -> tuple[int, ...]:
        """Ids of a model turn as the model would write it, its end token included.

        For supervised targets only: what a model has written is never encoded again.
        """
        return self._encode(text) + self._end

    def decode(self, ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """Text of a model turn, without its end token, and the offset of each id in it."""
        body = list(ids[:-1]) if ids and ids[-1] in self._end_ids else list(ids)
        text: str = self._backend.decode(body, skip_special_tokens=False)
        offsets = self._stream_offsets(body, text)
        if offsets is None:
            offsets = self._prefix_offsets(body, text)
        return text, (*offsets, *[len(text)] * (len(ids) - len(body)))

    def _encode(self, text: str) -> tuple[int, ...]:
        """Encode a user message. Holds no control token, whatever the text says."""
        ids = self._backend.encode(text.strip() if self._trims_user else text, add_special_tokens=False).ids
        # Some vocabularies list control tokens as ordinary words too.
        return tuple(token for token in ids if token not in self._control_ids)

    def _stream_offsets(self, ids: Sequence[int], text: str) -> list[int] | None:
        """Offsets from decoding id by id, in linear time; None if that gives another text."""
        stream, done, offsets = DecodeStream(skip_special_tokens=False), 0, []
        for token in ids:
            offsets.append(done)
            try:
                piece = stream.step(self._backend, token) or ""  # None inside a character
            except Exception:  # tokenizers raises no narrower class
                return None
            if not text.startswith(piece, done):
                return None
            done += len(piece)
        return offsets

    def _prefix_offsets(self, ids: Sequence[int], text: str) -> list[int]:
        """Offsets from decoding every prefix: for decoders that look at their neighbours."""
        offsets, done = [], 0
        for count in range(len(ids)):
            prefix = self._backend.decode(list(ids[:count]), skip_special_tokens=False)
            same = next((n for n, (a, b) in enumerate(zip(prefix, text, strict=False)) if a != b), None)
            done = max(done, min(len(prefix), len(text)) if same is None else same)
            offsets.append(done)
        return offsets


def _private_copy(backend: Any, template: str) -> tuple[Any, str]:
    """A copy of the tokenizer that nobody else sets flags on, and the digest of what it holds.

    Added tokens that the template writes are marked as special, so that a user's text is
    kept from them, too. Blanks stay as they are: templates hold them as ordinary text.
    """
    state = json.loads(backend.to_str())
    state["truncation"] = state["padding"] = state["post_processor"] = None
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
    for token in state["added_tokens"]:
        written = token["content"] in template and not token["content"].isspace()
        token["special"] = token["special"] or written
    return Tokenizer.from_str(json.dumps(state)), digest


def _control_ids(backend: Any, tokenizer: Any) -> frozenset[int]:
    special = {token for token, added in backend.get_added_tokens_decoder().items() if added.special}
    frames = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    # A text may well hold unknown words; some tokenizers have one token for unknown and end, though.
    unknown = {tokenizer.unk_token_id} - frames
    return frozenset((special | set(tokenizer.all_special_ids)) - unknown)
