"""Rows of files of any form: the same rows from each, by split, in little memory, and never executed."""

import gzip
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

import table_files
from rlef.errors import DataError
from rlef.problems import tables
from table_files import COMMIT, cached, pa, parquet

ROWS = [
    {"id": "a", "n": 1, "tests": {"input": ["1\n", "ü"], "output": ["", "x"]}, "none": None},
    {"id": "b", "n": 2, "tests": {"input": [], "output": []}, "none": None},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def write(path, rows=ROWS):
    return table_files.write(path, rows)


def _values(place, **options):
    return [row for _, row in tables.rows(place, **options)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.parquet", "a.arrow"])
def test_every_form_gives_the_same_rows_and_says_where(tmp_path, name):
    path = write(tmp_path / name)
    assert _values(path) == _values(tmp_path) == ROWS
    places = [where for where, _ in tables.rows(path)]
    lines = name.startswith("a.jsonl")
    assert places == [f"{path}:1", f"{path}:2"] if lines else [f"{path}, row 1", f"{path}, row 2"]
    assert _values(path, columns=["n", "gone"]) == [{"n": 1}, {"n": 2}]


def test_one_object_is_one_row(tmp_path):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(ROWS[0], indent=2))
    assert _values(path) == ROWS[:1]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        ("data/train-00000-of-00001-c8.parquet", "data/test-00000-of-00001-ab.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("train.jsonl", "test.jsonl"),
        ("taco_training.jsonl", "taco-eval.jsonl.gz"),
    ],
)
def test_a_split_is_chosen_by_the_names_of_files_and_folders(tmp_path, train, test):
    write(tmp_path / train, ROWS[:1])
    write(tmp_path / test, ROWS[1:])
    assert _values(tmp_path, split="train") == ROWS[:1]
    assert _values(tmp_path, split="test") == ROWS[1:]
    assert {row["id"] for row in _values(tmp_path)} == {"a", "b"}
    with pytest.raises(DataError, match="no split 'valid'; its splits are test, train"):
        list(tables.rows(tmp_path, split="valid"))


@pytest.mark.parametrize("name", ["validation-0.parquet", "valid.jsonl", "val/x.jsonl", "dev.json"])
def test_the_names_of_the_valid_split(tmp_path, name):
    write(tmp_path / name)
    assert _values(tmp_path, split="valid") == ROWS


def test_shards_come_in_order_and_files_without_a_split_belong_to_all(tmp_path):
    for number in (2, 0, 1):
        write(tmp_path / f"part-0000{number}.parquet", [{"n": number}])
    expected = [{"n": 0}, {"n": 1}, {"n": 2}]
    assert _values(tmp_path) == _values(tmp_path, split="test") == expected
    # A word that only holds the name of a split does not name it.
    assert tables.split_of(Path("contest/latest-trains.jsonl")) == ""


def test_a_folder_with_the_same_rows_in_two_forms_is_read_once(tmp_path):
    write(tmp_path / "test.jsonl")
    write(tmp_path / "data" / "test-0.parquet")
    write(tmp_path / "dataset_infos.json", [{"no": "row"}])
    write(tmp_path / ".cache" / "test-1.parquet")
    (tmp_path / "loader.py").write_text("raise SystemExit('executed')")
    assert _values(tmp_path, split="test") == ROWS


def test_times_and_decimals_are_text(tmp_path):
    import datetime
    import decimal

    day = datetime.datetime(2024, 5, 4, 15, 0)
    table = pa.table({"at": pa.array([day, None]), "d": pa.array([decimal.Decimal("1.50"), None])})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert _values(tmp_path) == [{"at": "2024-05-04T15:00:00", "d": "1.50"}, {"at": None, "d": None}]


@pytest.mark.parametrize("digits", [1, 3999, 4000, 4001, 4300, 4301, 99_999])
@pytest.mark.parametrize("sign", ["", "-"])
def test_long_numbers_are_read_exactly(digits, sign):
    text = "7" * digits
    value = tables.parse_json(f'{{"n": {sign}{text}}}')["n"]
    whole = 7 * (10**digits - 1) // 9  # 77…7
    assert value == (-whole if sign else whole)


def test_numbers_without_end_and_deep_nesting_are_errors():
    for text in ("9" * 200_000, "[" * 100_000):
        with pytest.raises(ValueError, match=r"digits|nested"):
            tables.parse_json(text)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n[2]\n', r"a\.jsonl:2: must be an object"),
        ("a.jsonl", b'\n{"a": \n', r"a\.jsonl:2: not valid JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"a\.jsonl:1: not valid JSON .*utf-8"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-9], "cut off or damaged"),
        ("a.jsonl.gz", b"plain", "can't read"),
        ("a.jsonl.zst", b"plain text, and no frame", "can't read"),
        ("a.json", b"[1]", r"a\.json, row 1: must be an object"),
        ("a.parquet", b"PAR1 and no more", "can't read"),
        ("a.arrow", b"nothing", "can't read"),
        ("a.csv", b"a,b\n", "holds no data files; they end in"),
    ],
)
def test_a_bad_file_is_one_line_with_its_place(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        list(tables.rows(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_missing_place_is_one_line(tmp_path):
    with pytest.raises(DataError, match="No such file or directory"):
        list(tables.rows(tmp_path / "gone"))


@pytest.mark.parametrize("name", ["big.parquet", "big.jsonl.gz"])
def test_a_large_file_is_read_in_little_memory(tmp_path, name):
    path = tmp_path / name
    text = "x" * 100_000
    if name.endswith(".gz"):
        with gzip.open(path, "wt", compresslevel=1) as file:
            for number in range(800):
                file.write(json.dumps({"n": number, "text": text}) + "\n")
    else:
        schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
        with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
            for start in range(0, 800, 100):
                some = [{"n": n, "text": text} for n in range(start, start + 100)]
                writer.write_table(pa.Table.from_pylist(some, schema))
    code = (
        "import resource, sys; from rlef.problems import tables\n"
        "next(tables.rows(sys.argv[1]))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert sum(1 for _ in tables.rows(sys.argv[1])) == 800\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 48 * 1024, "KiB more for 80 MB of text"


# -- the hub's cache


HUB_CODE = """
import json, sys
from rlef.errors import DataError
from rlef.problems import tables
try:
    folder = tables.hub(sys.argv[1], split=sys.argv[2])
    print(json.dumps([row for _, row in tables.rows(folder, split=sys.argv[2])]))
except DataError as error:
    print(f"error: {error}")
"""


def _hub(cache, repo_id, split=""):
    environment = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", HUB_CODE, repo_id, split],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.strip()


def test_a_data_set_of_the_hub_is_read_from_its_cache(tmp_path):
    files = {"data/train-00000-of-00001.parquet": ROWS[:1], "data/test-00000-of-00001.parquet": ROWS[1:]}
    cached(tmp_path, "some/problems", files)
    assert json.loads(_hub(tmp_path, "some/problems", "test")) == ROWS[1:]
    assert json.loads(_hub(tmp_path, "some/problems")) == ROWS[1:] + ROWS[:1]


def test_a_split_that_a_data_set_of_the_hub_has_not_is_one_line(tmp_path):
    folder = cached(tmp_path, "some/problems", {"README.jsonl": []})
    (folder / "snapshots" / COMMIT / "README.jsonl").rename(folder / "snapshots" / COMMIT / "README.md")
    assert (
        _hub(tmp_path, "some/problems", "test")
        == "error: some/problems has no files of a split 'test' on the hub"
    )
    assert _hub(tmp_path, "some/problems") == "error: some/problems has no data files on the hub"


@pytest.mark.parametrize("repo_id", ["some/other", "not a name"])
def test_a_data_set_that_the_hub_does_not_give_is_one_line(tmp_path, repo_id):
    said = _hub(tmp_path, repo_id)
    assert said.startswith(f"error: {repo_id!r} is not in the hub's cache") and "\n" not in said


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_of_large_rows_few_are_in_memory_at_once(tmp_path, name):
    """Sixteen rows of 4 MB: what Python holds of them at any time is far from all."""
    path = write(tmp_path / name, [{"text": str(number) * 2**22} for number in range(10, 26)])
    tracemalloc.start()
    try:
        for number, (_, row) in enumerate(tables.rows(path), 10):
            assert row["text"][:2] == str(number) and len(row["text"]) == 2**23
            del row
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**23 / 2


def test_damage_anywhere_in_an_arrow_file_is_one_line_or_harmless(tmp_path):
    whole = write(tmp_path / "whole.arrow", [{"n": 1}, {"n": 2}]).read_bytes()
    path = tmp_path / "broken.arrow"
    refused = 0
    for at in range(0, len(whole), 5):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            list(tables.rows(path))
        except DataError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
    assert refused
