"""Small random models and batches for the policy tests."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rlef.policy.batch import TokenBatch

VOCABULARY = 61


def random_llama(seed: int = 0, *, tied: bool = True, layers: int = 2) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        initializer_range=0.3,
        attention_dropout=0.5,  # would show if a network were not in evaluation mode
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def word_tokenizer() -> PreTrainedTokenizerFast:
    words = ["<unk>", "<end>", *(f"w{number}" for number in range(VOCABULARY - 2))]
    raw = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", eos_token="<end>", pad_token="<end>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} <end> {% endfor %}"
    return tokenizer


def random_episodes(seed: int, lengths: Sequence[int]) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


def batch_of(
    rows: Sequence[Sequence[Sequence[int]]], *, prompt: int = 3, value_at: int | None = None, left: int = 0
) -> TokenBatch:
    """Rows of packed episodes; an episode's first ``prompt`` tokens are read, the rest written.

    ``left`` columns of padding come first. Padding holds id 1, which is also a real token.
    """
    width = left + max(sum(map(len, row)) for row in rows)
    ids, segment, position = (torch.full((len(rows), width), fill) for fill in (1, 0, 0))
    action, value = (torch.zeros(len(rows), width, dtype=torch.bool) for _ in range(2))
    for b, row in enumerate(rows):
        start = left
        for number, episode in enumerate(row, start=1):
            end = start + len(episode)
            ids[b, start:end] = torch.tensor(episode)
            segment[b, start:end] = number
            position[b, start:end] = torch.arange(len(episode))
            action[b, start + prompt : end] = True
            value[b, start + (prompt - 1 if value_at is None else value_at)] = True
            start = end
    return TokenBatch(
        ids_BT=ids, segment_BT=segment, position_BT=position, is_action_BT=action, read_value_BT=value
    )
