"""One frozen body, an adapter for each role.

Adapters are switched by flags on the adapted layers. Two things make that safe:

- peft's own ``set_adapter`` marks what it switches off as not trainable, and torch drops
  gradients that reach such a tensor in a later backward pass. So the two flags it sets
  are set here directly, and the marks are made once.
- With gradient checkpointing a layer runs again in the backward pass, when another role
  may be active. So each layer's recomputation runs under the role of its first run.

Between calls the policy is active: a sampler may hold the same module.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from rlef.config import Lora
from rlef.policy.actor_critic import ActorCritic, Role
from rlef.policy.transformer import enable_checkpointing

ROLES: tuple[Role, ...] = ("policy", "value", "reference")


class LoraActorCritic(ActorCritic):
    """Low-rank adapters on every linear layer but the output layer.

    The reference is the bare base, or after ``rebase`` a third, frozen adapter.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        lora: Lora,
        seed: int = 0,
        autocast: torch.dtype | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(model, tokenizer, seed=seed, autocast=autocast)
        self._config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        self._seed = seed
        self._peft: Any = None
        self._add("policy")
        self._add("value")
        if gradient_checkpointing:
            enable_checkpointing(model, self._same_role)

    def policy_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and tensors of the policy's adapter."""
        return self._adapter("policy")

    def value_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and tensors of the value network's adapter, and its head."""
        head = [(f"head.{name}", parameter) for name, parameter in self.value_head.named_parameters()]
        return self._adapter("value") + head

    def generation_model(self) -> Any:
        """The base with the policy's adapter active; no copy is made."""
        return self._model

    def rebase(self) -> None:
        """Freeze a copy of the policy's adapter as reference; start the value from it."""
        if not self._rebased:
            self._add("reference")
            self._rebased = True
        with torch.no_grad():
            for role in ("value", "reference"):
                for (_, new), (_, old) in zip(self._adapter("policy"), self._adapter(role), strict=True):
                    old.copy_(new)

    def save_adapter(self, folder: Path) -> None:
        """Write the policy's adapter alone, in peft's format, to ``folder/policy``."""
        self._peft.save_pretrained(folder, selected_adapters=["policy"])

    @contextlib.contextmanager
    def _role(self, role: Role) -> Iterator[Any]:
        before = self._active
        self._switch(role)
        try:
            yield self._model.get_decoder()
        finally:
            self._switch(before)

    def _head(self, role: Role) -> Any:
        return self._model.get_output_embeddings()

    def _switch(self, role: Role) -> None:
        bare = role == "reference" and not self._rebased
        for layer in self._layers:
            layer._disable_adapters = bare
            layer._active_adapter = [role]
        self._active = role

    def _same_role(self) -> tuple[Any, Any]:
        """Contexts of a checkpointed layer's first and second run."""
        return contextlib.nullcontext(), self._role(self._active)

    def _add(self, role: Role) -> None:
        """Give ``role`` a fresh adapter; policy and value learn, the reference does not."""
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft calls what transformers deprecates
            torch.manual_seed(self._seed + ROLES.index(role))
            if role == "policy":
                self._peft = get_peft_model(self._model, self._config, adapter_name=role)
            else:
                self._peft.add_adapter(role, self._config)
        self._peft.eval()
        self._layers = [module for module in self._model.modules() if isinstance(module, LoraLayer)]
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(".lora_" in name and ".reference." not in name)
        self._switch("policy")

    def _adapter(self, role: str) -> list[tuple[str, nn.Parameter]]:
        """The tensors of one role's adapter, under names that don't mention the role."""
        found = []
        for name, parameter in self._model.named_parameters():
            module, adapted, rest = name.partition(".lora_")
            matrix, _, tail = rest.partition(".")
            if adapted and tail.split(".")[0] == role:
                found.append((f"{module}.lora_{matrix}{tail.removeprefix(role)}", parameter))
        return found

    def _reference_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return self._adapter("reference")

    def _save_weights(self, folder: Path) -> None:
        """Write base and policy adapter as one model; the base itself stays untouched."""
        self._model.save_pretrained(folder, state_dict=self._merged())

    @torch.no_grad()
    def _merged(self) -> dict[str, Tensor]:
        modules = dict(self._model.named_modules())
        merged: dict[str, Tensor] = {}
        for name, tensor in self._model.state_dict().items():
            if ".lora_" in name:
                continue
            owner, based, rest = name.partition(".base_layer.")
            if based and rest == "weight":
                delta = modules[owner].get_delta_weight("policy")
                tensor = (tensor.float() + delta.float()).to(tensor.dtype)
            merged[f"{owner}.{rest}" if based else name] = tensor
        return merged
