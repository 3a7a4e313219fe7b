"""Plain data: what the child writes, the parent reads, and neither makes an object of the other's."""

# ruff: noqa: E501 (tables read better whole)

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlef.problems import plain
from rlef.sandbox.zygote import calls

numbers = st.integers() | st.floats() | st.complex_numbers(allow_nan=False)
hashable = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.sets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$set", "$x", "a"]), inner, max_size=2)
    ),
    max_leaves=8,
)


def same(left, right):
    """Equal, with the same types all the way down, and nan equal to nan."""
    return repr(ordered(left)) == repr(ordered(right))


def ordered(value):
    if isinstance(value, set | frozenset):
        return [type(value).__name__, *sorted((ordered(item) for item in value), key=repr)]
    if isinstance(value, dict):
        return [(ordered(key), ordered(item)) for key, item in value.items()]
    return type(value)(map(ordered, value)) if isinstance(value, list | tuple) else value


@settings(deadline=None, max_examples=400)
@given(values)
def test_a_value_comes_back_to_the_child_as_it_was(value):
    assert same(calls.decode(plain.dumps(value)), value)
    assert same(calls.decode(calls.encode(value).decode()), value)


@settings(deadline=None, max_examples=400)
@given(values)
def test_child_and_parent_write_texts_that_say_the_same(value):
    if "nan" not in repr(value):  # not even itself, and twice in a set
        assert plain.parse(calls.encode(value)) == plain.parse(plain.dumps(value))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(json_values)
def test_json_means_what_it_always_meant(value):
    if not any(key in json.dumps(value) for key in ('{"$', '{"\\u0024')):
        assert plain.parse(json.dumps(value)) == value
        assert plain.parse(json.dumps(value, ensure_ascii=False)) == value


@settings(deadline=None, max_examples=300)
@given(hashable, hashable)
def test_two_keys_have_one_text_if_and_only_if_they_are_equal(left, right):
    def parsed(value):
        return plain.parse(plain.dumps(value))

    if "nan" in repr((left, right)) or "True" in repr((left, right)) or "False" in repr((left, right)):
        return  # nan is a key like others here, and a bool is not a number
    assert (plain.key_of(parsed(left)) == plain.key_of(parsed(right))) == (left == right)


@pytest.mark.parametrize(
    "left, right, alike",
    [
        (1, 1.0, True),
        (1, True, False),
        (0.0, -0.0, True),
        (1, 1 + 0j, True),
        ("1", 1, False),
        ("b'1'", b"1", False),
    ],
)
def test_keys_by_example(left, right, alike):
    assert (plain.key_of(left) == plain.key_of(right)) is alike


@pytest.mark.parametrize(
    "text",
    [
        '{"$what": 1}',
        '{"$": 1}',
        '{"\\u0024what": 1}',
        '{"$set": 1}',
        '{"$set": [1, 1]}',
        '{"$set": [1, 1.0]}',
        '{"$set": [[1]]}',
        '{"$set": [{"a": 1}]}',
        '{"$set": [{"$set": []}]}',
        '{"$tuple": {"a": 1}}',
        '{"$tuple": "ab"}',
        '{"$dict": [[1, 2], [1.0, 3]]}',
        '{"$dict": [["a", 2], ["a", 3]]}',
        '{"$dict": [[1, 2, 3]]}',
        '{"$dict": [1]}',
        '{"$dict": [[[1], 2]]}',
        '{"$float": "1.5"}',
        '{"$float": 1}',
        '{"$float": ["nan"]}',
        '{"$complex": [1.0]}',
        '{"$complex": [1, 2]}',
        '{"$complex": "1j"}',
        '{"$bytes": "0"}',
        '{"$bytes": "0G"}',
        '{"$bytes": [0]}',
        '{"$int": "0x10"}',
        '{"$int": "1_0"}',
        '{"$int": 5}',
        '{"$int": ""}',
        '[{"$tuple": [1]}, NaN]',
        '{"a": 1, "a": {"$tuple": []}}',
        '{"$set": [' * 200 + "]}" * 200,
        '{"$frozenset": [' * 3000 + "]}" * 3000,
        '{"$tuple": [' * 100_000,
    ],
)
def test_what_is_no_plain_data_is_refused(text):
    with pytest.raises(plain.NotPlain):
        plain.parse(text)


def test_a_whole_number_beyond_decimal_digits_has_a_text():
    big = 7**20_000
    assert plain.parse(plain.dumps(big)) == plain.parse(calls.encode([big]))[0] == big
    assert plain.parse(plain.dumps(-big)) == -big and '"$int"' in plain.dumps(big)
    assert plain.shown([big]) == f"[{hex(big)}]"


class Odd:
    """Every trick at once; none of them may be used."""

    def trick(self, *arguments):
        raise AssertionError("a method of the value was called")

    __eq__ = __hash__ = __repr__ = __str__ = __iter__ = __len__ = __reduce__ = __getattribute__ = trick
    __int__ = __index__ = __float__ = __bool__ = __getitem__ = __class_getitem__ = __contains__ = trick
    __pos__ = __neg__ = __sub__ = __lt__ = __format__ = __bytes__ = __complex__ = trick


@pytest.mark.parametrize(
    "base", [int, float, str, list, tuple, dict, set, frozenset, complex, bytes, bytearray]
)
def test_an_object_of_a_subclass_is_what_it_holds_whatever_it_says(base):
    made = {list: [1, 2], tuple: (1, 2), dict: {"a": 1}, set: {1}, frozenset: {1}, str: "ab", bytes: b"ab"}
    held = base(made.get(base, b"ab" if base is bytearray else 3))
    odd = type("Odd", (base,), {**vars(Odd), "__dict__": {}})
    value = base.__new__(odd, held) if base not in (list, dict, set, bytearray) else base.__new__(odd)
    if base in (list, dict, set, bytearray):
        base.__init__(value, held)
    assert plain.parse(calls.encode(value)) == plain.parse(calls.encode(held))
    assert plain.parse(calls.encode([value])) == [plain.parse(calls.encode(held))]


class Liar:
    __class__ = int


class Meta(type):
    __mro__ = (int, object)
    __name__ = "int"


def cycle():
    one = []
    one.append(one)
    return one


def cyclic_dict():
    one = {}
    one["a"] = (one,)
    return one


def deep():
    value = []
    for _ in range(500):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(), Liar(), Meta("int", (), {}), Meta("int", (), {})(), int, len, iter([1]), (i for i in [1]), range(3),
        {1: 2}.items(), memoryview(b"1"), Ellipsis, NotImplemented, cycle(), cyclic_dict(), deep(), [object()],
        {"a": object()}, {object(): 1}, (1, [object()]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_plain_is_refused_by_the_child(value):
    with pytest.raises(TypeError, match="plain data"):
        calls.encode(value)


def test_sets_are_written_in_one_order():
    texts = {calls.encode(set(order)) for order in ([3, 1, 2], [2, 3, 1], [1, 2, 3])}
    assert texts == {b'{"$set": [1, 2, 3]}'}
    assert calls.encode({"b", 1, (2,)}) == calls.encode({(2,), "b", 1})


@pytest.mark.parametrize(
    "value",
    [
        [1, "a", None, True, 1.5],
        (1,),
        (1, 2),
        {"a": [()]},
        {1: "x"},
        {1, 2},
        set(),
        frozenset({1}),
        b"\x00",
        1j,
        -0.0,
    ],
)
def test_values_are_shown_as_python_writes_them(value):
    assert plain.shown(plain.parse(plain.dumps(value))) == repr(value)


def test_a_value_that_is_nested_too_deeply_to_be_shown_says_so():
    value = []
    for _ in range(300):
        value = [value]
    with pytest.raises(plain.NotPlain):
        plain.shown(value)
    with pytest.raises(plain.NotPlain):
        plain.dumps(value)


@pytest.mark.parametrize("value", [object(), range(3), Ellipsis, [object()], type("I", (int,), {})(3)])
def test_the_parent_writes_python_s_own_types_alone(value):
    with pytest.raises(plain.NotPlain):
        plain.dumps(value)


def test_numbers_with_one_hash_are_never_hashed_by_the_parent():
    """A hostile set or dictionary of them would take quadratic time to make."""
    same_hash = [n * (2**61 - 1) for n in range(40)]
    assert len({hash(n) for n in same_hash}) == 1
    found = plain.parse(calls.encode([set(same_hash), dict.fromkeys(same_hash)]))
    assert isinstance(found[0], plain.Set) and isinstance(found[1], plain.Pairs)
    assert all(isinstance(key, str) for key in (*found[0].keys, *found[1].by_key))
