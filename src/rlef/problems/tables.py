"""Rows of data files, whatever their form: JSONL, JSON, parquet, Arrow, or a folder of them.

Rows are parsed, never executed: a folder's loading scripts are not looked at. Of JSONL one line is in
memory at a time, of parquet some rows, of a ``.json`` file the whole.

Splits follow the hub: a file belongs to the split that its name or folder names
(``test-00000-of-00001.parquet``, ``data/validation-*.parquet``, ``train/0000.parquet``,
``test.jsonl``). A file that names none belongs to all.
"""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlef.errors import DataError

SPLITS = {
    "train": ("train", "training"),
    "valid": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""How files name a split."""

JSON_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
FORMS: tuple[tuple[str, ...], ...] = ((".parquet",), JSON_LINES, (".arrow",), (".json",))
"""Endings of data files. Of a folder that holds several forms, the first form alone is read: the hub
keeps the same rows in several."""

_NO_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"}
_ROWS, _BYTES = 16, 2**25
"""Most rows of a parquet file in memory, and about how much of them as Python's values. Little: a problem of
CodeContests may have tens of megabytes of tests and solutions."""
_LONGEST_INT = 100_000
"""Most digits of a number in JSON; more than Python's own 4,300, which APPS and TACO exceed."""
_JUST_DIGITS = 4000

Row = dict[str, Any]


def rows(
    place: Path | str, *, split: str = "", columns: Sequence[str] | None = None
) -> Iterator[tuple[str, Row]]:
    """Pairs of ``file:line`` (or ``file, row 3``) and the row there, of a file or a folder of files.

    ``split``: only files of this split, ``train``, ``valid`` or ``test``; empty for all. ``columns``:
    only these, those that the file has; of parquet no others are read. Raises ``DataError`` for a
    place without data, a file that can't be read and a row that is no object.
    """
    for path in files(place, split=split):
        yield from _file_rows(path, columns)


def files(place: Path | str, *, split: str = "") -> list[Path]:
    """The data files of ``place``, sorted. Raises ``DataError`` if there are none, or none of the split."""
    root = Path(place)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise DataError(f"can't read {root}: No such file or directory; give a data file or a folder of them")
    inside = (path for path in root.rglob("*") if not _hidden(path.relative_to(root)))
    every = sorted(path for path in inside if path.name not in _NO_DATA and path.is_file())
    of_forms = ([path for path in every if path.name.endswith(form)] for form in FORMS)
    found = next(filter(None, of_forms), [])
    if not found:
        endings = ", ".join(ending for form in FORMS for ending in form)
        raise DataError(f"{root} holds no data files; they end in {endings}")
    return _of_split(found, root, split)


def columns(path: Path) -> list[str] | None:
    """The columns of a parquet file; None for files of other forms, whose rows tell."""
    if not path.name.endswith(".parquet"):
        return None
    with readable(path):
        return list(_arrow("pyarrow.parquet").read_schema(path).names)


def split_of(path: Path) -> str:
    """The split that a path names, by its file name or the nearest folder; empty if it names none."""
    for part in reversed(path.parts):
        words = re.split(r"[^a-z]+", part.lower())
        for split, names in SPLITS.items():
            if set(names) & set(words):
                return split
    return ""


def hub(repo_id: str, *, revision: str | None = None, split: str = "", patterns: Sequence[str] = ()) -> Path:
    """The folder that holds a data set of the hub, fetched if it is not in the hub's cache.

    ``patterns``: glob patterns of the files that are wanted; without them the data files of
    ``split``, or all. ``HF_HUB_OFFLINE``, ``HF_HOME`` and tokens are honoured as ever. Raises ``DataError``
    with one line if the hub does not give it, or if huggingface_hub is missing.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise DataError("data sets of the hub need huggingface_hub: pip install 'rlef[data]'") from None
    wanted = list(patterns) or _patterns(split)
    try:
        folder = huggingface_hub.snapshot_download(
            repo_id, repo_type="dataset", revision=revision, allow_patterns=wanted
        )
    except Exception as error:  # of huggingface_hub, of the network, of a broken cache: all end here
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(
            f"{repo_id!r} is not in the hub's cache, and the hub does not give it: {line}"
        ) from None
    there = (path.name for path in Path(folder).rglob("*"))
    if not any(name.endswith(ending) for name in there for form in FORMS for ending in form):
        what = f"files of a split {split!r}" if split and not patterns else "data files"
        raise DataError(f"{repo_id} has no {what} on the hub")
    return Path(folder)


def _patterns(split: str) -> list[str]:
    endings = [f"*{ending}" for form in FORMS for ending in form]
    return [f"*{name}{end}" for name in SPLITS[split] for end in endings] if split else endings


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.parts)


def _of_split(found: list[Path], root: Path, split: str) -> list[Path]:
    named = {path: split_of(path.relative_to(root)) for path in found}
    if not split or not any(named.values()):
        return found
    chosen = [path for path in found if named[path] in (split, "")]
    if not chosen:
        there = ", ".join(sorted(set(named.values())))
        raise DataError(f"{root} has no split {split!r}; its splits are {there}")
    return chosen


def _file_rows(path: Path, columns: Sequence[str] | None) -> Iterator[tuple[str, Row]]:
    if path.name.endswith(".parquet"):
        yield from _parquet_rows(path, columns)
        return
    if path.name.endswith(".arrow"):
        found = _arrow_rows(path)
    else:
        found = _json_rows(path) if path.name.endswith(".json") else _line_rows(path)
    for where, row in found:
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be an object")
        yield where, row if columns is None else {name: row[name] for name in columns if name in row}


# -- JSON


def parse_json(text: str | bytes) -> Any:
    """A JSON value. Raises ``ValueError`` if it is none, or nested too deeply.

    Whole numbers may have 100,000 digits; ``NaN`` and ``Infinity`` are taken for floats.
    """
    try:
        return json.loads(text, parse_int=_int)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _int(digits: str) -> int:
    if len(digits) <= _JUST_DIGITS:
        return int(digits)
    if len(digits) > _LONGEST_INT:
        raise ValueError(f"a number of {len(digits)} digits")
    sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits)
    value = 0
    for start in range(0, len(digits), _JUST_DIGITS):
        part = digits[start : start + _JUST_DIGITS]
        value = value * 10 ** len(part) + int(part)
    return sign * value


def _line_rows(path: Path) -> Iterator[tuple[str, Any]]:
    with readable(path), opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{path}:{number}", _parsed(line, f"{path}:{number}")


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    with readable(path):
        value = _parsed(path.read_bytes(), str(path))
    for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
        yield f"{path}, row {number}", row


def _parsed(text: bytes, where: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:  # UnicodeDecodeError is one
        raise DataError(f"{where}: not valid JSON ({error})") from None


def opened(path: Path) -> io.BufferedIOBase:
    """The bytes of a file, unpacked if its name ends in ``.gz`` or ``.zst``."""
    if path.name.endswith(".gz"):
        return gzip.open(path)
    if path.name.endswith(".zst"):
        stream = _arrow("pyarrow").input_stream(str(path), compression="zstd")
        return io.BufferedReader(stream)
    return path.open("rb")


# -- Arrow


def _arrow(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise DataError("parquet, .arrow and .zst files need pyarrow: pip install 'rlef[data]'") from None


def _parquet_rows(path: Path, columns: Sequence[str] | None) -> Iterator[tuple[str, Row]]:
    parquet = _arrow("pyarrow.parquet")
    with readable(path), parquet.ParquetFile(path) as file:
        known = file.schema_arrow.names
        chosen = None if columns is None else [name for name in columns if name in known]
        yield from _numbered(path, file.iter_batches(batch_size=_ROWS, columns=chosen))


def _arrow_rows(path: Path) -> Iterator[tuple[str, Row]]:
    pyarrow, ipc = _arrow("pyarrow"), _arrow("pyarrow.ipc")
    with readable(path), pyarrow.memory_map(str(path)) as source:
        yield from _numbered(path, ipc.open_stream(source))


def _numbered(path: Path, batches: Iterator[Any]) -> Iterator[tuple[str, Row]]:
    number = 0
    for batch in batches:
        step = max(1, min(_ROWS, _BYTES * len(batch) // max(1, batch.nbytes)))
        for at in range(0, len(batch), step):
            for row in batch.slice(at, step).to_pylist():
                number += 1
                yield f"{path}, row {number}", _plain(row)


def _plain(value: Any) -> Any:
    """Times as ISO text and decimals as text, as JSON has them; all else as it is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return value if value and isinstance(value[0], str | int | float) else [_plain(v) for v in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal | datetime.timedelta) else value


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what a missing, damaged or foreign file raises into one line."""
    try:
        yield
    except DataError:
        raise
    except (EOFError, zlib.error):
        raise DataError(f"can't read {path}: the data are cut off or damaged; get it again") from None
    except (OSError, ValueError, NotImplementedError, OverflowError) as error:  # pyarrow's are all of these
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "")
        raise DataError(f"can't read {path}: {reason}") from None
