"""The reader of pickled texts: reads every text that pickle writes, and nothing that does anything."""

import base64
import io
import json
import pickle
import pickletools
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.problems.importers import imported
from rlef.problems.importers.livecodebench import LIVECODEBENCH
from rlef.problems.importers.onetext import NotOneText, one_text, packed_text

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def _packed(data):
    return base64.b64encode(zlib.compress(data)).decode()


@settings(max_examples=150, deadline=None)
@given(st.text() | st.text(alphabet="\\\n\r\0u\u2028'\"", max_size=20), st.sampled_from(PROTOCOLS))
def test_a_text_comes_out_as_pickle_itself_gives_it(text, protocol):
    data = pickle.dumps(text, protocol)
    assert one_text(data) == text == pickle.loads(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 300_000])
def test_texts_of_every_length_and_beyond_a_frame(protocol, size):
    text = "aü" * (size // 2) + "z" * (size % 2)
    assert packed_text(_packed(pickle.dumps(text, protocol))) == text


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


class Build:
    """The same, by the state of an object."""

    def __reduce_ex__(self, protocol):
        return (dict, (), {"a": 1})


def _written(path):
    """Exploits as pickle machines write them, and by hand."""
    name = str(path)
    yield from (pickle.dumps(Touch(path), protocol) for protocol in PROTOCOLS)
    yield from (pickle.dumps(["text", Touch(path)], protocol) for protocol in PROTOCOLS)
    yield from (pickle.dumps(Build(), protocol) for protocol in PROTOCOLS)
    yield b"cos\nsystem\n(S'touch " + name.encode() + b"'\ntR."
    yield b"(S'touch " + name.encode() + b"'\nios\nsystem\n."
    yield b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x05touch\x85R."
    yield b"\x80\x02X\x04\x00\x00\x00text0cos\ngetcwd\n)R."
    yield b"\x80\x04\x8c\x01a.cos\nsystem\n(S'touch " + name.encode() + b"'\ntR."  # behind the end
    yield b"\x80\x02\x82\x01."  # an extension's code
    yield b"P1\n."  # a persistent id


def test_no_exploit_is_executed(tmp_path):
    canary = tmp_path / "owned"
    exploits = list(_written(canary))
    for data in exploits:
        with pytest.raises(NotOneText):
            one_text(data)
    assert not canary.exists()
    # And they are real: the machine itself makes the file.
    pickle.loads(exploits[0]).close()
    assert canary.exists()


def test_only_the_operations_of_a_text_are_known():
    """Every operation that there is, behind a text and before it: all others are refused."""
    known = {"PROTO", "FRAME", "STOP", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"}
    texts = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
    for operation in pickletools.opcodes:
        code = operation.code.encode("latin-1")
        if operation.name in known | texts:
            continue
        for data in (code + b"\x8c\x01a.", b"\x8c\x01a" + code + b"."):
            with pytest.raises(NotOneText, match=f"operation {code[0]:#04x}"):
                one_text(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.builds(lambda a, b: b"\x80\x04\x8c" + a + b, st.binary(), st.binary()))
def test_any_bytes_are_a_text_or_refused(data):
    try:
        text = one_text(data)
    except NotOneText:
        return
    assert pickle.loads(data) == text


def test_every_cut_of_a_good_pickle_is_refused():
    for protocol in PROTOCOLS:
        data = pickle.dumps("some text", protocol)
        for end in range(len(data)):
            with pytest.raises(NotOneText):
                one_text(data[:end])
        with pytest.raises(NotOneText):
            one_text(data + b".")


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("not base64!", "no compressed data in base64"),
        (base64.b64encode(b"plain").decode(), "no compressed data in base64"),
        (base64.b64encode(zlib.compress(pickle.dumps("text"))[:-3]).decode(), "cut off, or too long"),
        (_packed(b""), "cut off"),
        (_packed(pickle.dumps(["a"])), "operation"),
        (_packed(pickle.dumps(1)), "operation"),
        (_packed(b"\x80\x04\x8c\x01\xff."), "utf-8"),
    ],
)
def test_what_is_no_packed_text_says_why(encoded, reason):
    with pytest.raises(NotOneText, match=reason):
        packed_text(encoded)


def test_a_bomb_is_not_unpacked_beyond_the_limit():
    machine = zlib.compressobj(9)
    out = io.BytesIO()
    for _ in range(64):
        out.write(machine.compress(bytes(2**20)))
    out.write(machine.flush())
    with pytest.raises(NotOneText, match="too long"):
        packed_text(base64.b64encode(out.getvalue()).decode(), most=2**20)


@pytest.mark.parametrize("filler", [b"\x94", b"q\x00", b"p0\n", b"\x95" + bytes(8)])
def test_operations_without_effect_are_few_so_that_a_small_text_can_not_keep_the_reader_busy(filler):
    """A kilobyte of base64 unpacks to a million of them."""

    class Watched(bytes):
        looks = 0

        def __getitem__(self, key):
            Watched.looks += 1
            return super().__getitem__(key)

    data = Watched(b"\x80\x04\x8c\x01a" + filler * 2**20 + b".")
    assert len(_packed(bytes(data))) < 30_000
    with pytest.raises(NotOneText, match="more than 8 operations"):
        one_text(data)
    assert Watched.looks < 100


def test_a_hostile_row_is_left_out_and_the_others_are_read(tmp_path):
    def row(number, private):
        case = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
        return {
            "question_id": f"q{number}",
            "question_content": "Double it.",
            "public_test_cases": json.dumps(case),
            "private_test_cases": private,
            "metadata": "{}",
        }

    canary = tmp_path / "owned"
    private = json.dumps([{"input": "3\n", "output": "6\n", "testtype": "stdin"}])
    rows = [row(at, _packed(data)) for at, data in enumerate(_written(canary))]
    rows.append(row("good", _packed(pickle.dumps(private))))
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    [problem], skipped = imported(LIVECODEBENCH, path)
    assert problem.id == "livecodebench/qgood" and problem.private_tests[0].output == "6\n"
    assert len(skipped) == len(rows) - 1 and all("private_test_cases" in one.reason for one in skipped)
    assert not canary.exists()
