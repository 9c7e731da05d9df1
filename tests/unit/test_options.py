"""What a plug-in may declare as an option, and how a declaration that no study could use is refused."""

import ast

import pytest

from mia_pruning.options import REQUIRED, read_option


def declared(text):
    """The option that a field `text` of a dataclass declares, such as 'k: int = 3'."""
    (field,) = ast.parse(text).body
    return read_option(field.target.id, field.annotation, field.value)


@pytest.mark.parametrize(
    "range_",
    [">=1", "positive", "> 0 < 1", ">= 0, <1", "> 0,", "=> 1", ">= one", ">= nan", "> inf", " "],
)
def test_a_malformed_range_is_refused_with_the_form_that_is_allowed(range_):
    with pytest.raises(ValueError, match="the range of option k is ") as refusal:
        declared(f"k: Annotated[int, {range_!r}] = 3")
    assert repr(range_) in str(refusal.value)
    assert "allowed are >=, >, <= or <, a space and a number, joined by commas" in str(
        refusal.value
    )


@pytest.mark.parametrize(
    "annotation",
    [
        "tuple[float, ...]", "tuple[int, int]", "set[int]", "Optional[int]", "np.ndarray", "Callable", "Any", "object",
        "'float'", "dict[str, float]", "Sequence", "list", "Sequence[int, str]", "list[tuple[int, int]]", "Literal", "Literal[K]",
        "int | Path", "Sequence[Path]", "Annotated[int, '>= 1'] | None", "Sequence[Annotated[int, '>= 1']]",
    ],
)  # fmt: skip
def test_a_type_that_no_study_could_write_is_refused_with_those_that_it_could(annotation):
    with pytest.raises(ValueError, match="the type of option k is ") as refusal:
        declared(f"k: {annotation}")
    assert annotation in str(refusal.value)
    assert (
        "allowed are int, float, str, bool, dict, None, Literal[...], Sequence[...] and list[...]"
        in str(refusal.value)
    )


@pytest.mark.parametrize(
    "annotation", ["str", "bool", "dict", "Literal['a']", "list[str]", "str | None"]
)
def test_a_range_of_a_type_without_order_is_refused(annotation):
    with pytest.raises(ValueError, match="allowed is a range of int or float"):
        declared(f"k: Annotated[{annotation}, '>= 1']")


@pytest.mark.parametrize(
    "annotation",
    ["Annotated[int, 1]", "Annotated[int, RANGE]", "Annotated[int, '> 0', '< 1']", "Annotated"],
)
def test_an_annotation_that_is_no_type_and_range_is_refused(annotation):
    with pytest.raises(
        ValueError, match=r"the annotation of option k is .*; allowed is a type and one range"
    ):
        declared(f"k: {annotation}")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("k: Annotated[int, '>= 1'] = 0", "default of option k is 0; allowed is int >= 1"),
        ("k: Annotated[list[float], '> 0, < 1'] = (0.5, 1)", "allowed is list[float] > 0, < 1"),
        ("k: int = 0.5", "allowed is int"),
        ("k: float = None", "allowed is float"),
        ("k: bool = 1", "allowed is bool"),
        ("k: str | None = 0", "allowed is str | None"),
        ("k: Sequence[int] = ()", "allowed is Sequence[int]"),
        ("k: Literal['a', 'b'] = 'c'", "allowed is one of a, b"),
        ("k: float = 1e999", "allowed is float"),
    ],
)
def test_a_default_that_no_study_could_write_is_refused(text, allowed):
    with pytest.raises(ValueError, match="the default of option k is ") as refusal:
        declared(text)
    assert allowed in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "fits", "does_not"),
    [
        ("k: list[float]", [[1], [0.5, 2]], [1.0, [], ["a"], [True], [[1]], {}]),
        ("k: Annotated[list[float], '> 0']", [[1], [0.5, 2]], [[0], [1, -1]]),
        ("k: Annotated[list[int] | None, '> 0']", [[1], None], [[0], [0.5], 1]),
        (
            "k: Annotated[Literal['auto'] | Sequence[float], '> 0']",
            ["auto", [1]],
            ["other", [0], ["auto"]],
        ),
        ("k: Sequence[Literal['a', 'b']]", [["a"], ["b", "a"]], [["c"], "a"]),
        ("k: Sequence[Sequence[int]]", [[[1], [2, 3]]], [[1], [[]]]),
        ("k: Annotated[int | str, '> 0']", [1, "a"], [0, None]),
        ("k: typing.Annotated[typing.Literal['auto'] | float, '<= 1e-3']", ["auto", 0.001], [1]),
        ("k: Annotated[float, '> -1.5, < 10']", [-1, 9], [-1.5, 10]),
        ("k: int", [10**400], []),
    ],
)
def test_types_lists_and_ranges_are_joined(text, fits, does_not):
    option = declared(text)
    assert option.default is REQUIRED
    assert all(map(option.accepts, fits))
    assert not any(map(option.accepts, does_not))
