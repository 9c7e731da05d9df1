"""Traits of plug-ins: what each kind of plug-in may state in its decorator, besides its options.

    @attack(by_example=True, probes=("augmented",))

Traits are read from the source text, so each value is written out as a literal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

#: These are the anchors of the page's sections. A figure is shown in one of them.
PAGE_SECTIONS = (
    "verdicts",
    "overview",
    "privacy",
    "examples",
    "audit",
    "utility",
    "compression",
    "theory",
    "cost",
    "method",
    "provenance",
    "environment",
)
#: A title has at most this many characters.
MOST_OF_A_TITLE = 60
#: These traits hold for a class alone, and not for those derived from it.
NOT_INHERITED = ("title",)


def _trait(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Traits:
    """Traits of every kind."""

    title: str = _trait("", "what people read instead of its name")


@dataclass(frozen=True)
class AttackTraits(Traits):
    """Comparisons, inputs and needs of an attack."""

    by_example: bool = _trait(False, "compares the target with shadow models on the same example")
    inside: bool = _trait(False, "needs shadow models that were trained on the attacked example")
    population: bool = _trait(False, "compares with population examples, those of split.test")
    probes: tuple[str, ...] = _trait((), "probes that it reads, by name")
    images: bool = _trait(False, "reads the images")
    dense: bool = _trait(False, "reads the answers of the dense network that was pruned")
    learns: bool = _trait(True, "learns from shadow models or known members")
    fewest_shadows: int = _trait(4, "by_example: the fewest shadow models that it works with")
    fewest_with_option: tuple[tuple[str, Any, int], ...] = _trait(
        (), "option, value, and the fewest shadow models that it needs with this value"
    )
    threshold_option: str = _trait(
        "",
        "the option with the number of shadow models that set its threshold, if it reads no others",
    )

    def __post_init__(self) -> None:
        rules = all(isinstance(rule, tuple) and len(rule) == 3 for rule in self.fewest_with_option)
        if not rules or not all(isinstance(fewest, int) for *_, fewest in self.fewest_with_option):
            allowed = "a tuple of (option, value, number)"
            raise ValueError(
                f"trait fewest_with_option is {self.fewest_with_option!r}; allowed is {allowed}"
            )
        if not all(isinstance(probe, str) for probe in self.probes):
            raise ValueError(f"trait probes is {self.probes!r}; allowed is a tuple of names")

    @property
    def named_options(self) -> list[str]:
        """Options of the attack that its traits refer to."""
        named = [option for option, *_ in self.fewest_with_option]
        return [*named, self.threshold_option] if self.threshold_option else named

    def shadows_needed(self, options: Mapping[str, Any]) -> int:
        """Return the fewest shadow models that the attack works with, given its options.

        >>> traits = AttackTraits(fewest_shadows=4, fewest_with_option=(("variance", "own", 6),))
        >>> traits.shadows_needed({"variance": "own"}), traits.shadows_needed({})
        (6, 4)
        """
        rules = self.fewest_with_option
        found = [n for option, value, n in rules if options.get(option) == value]
        return max([self.fewest_shadows, *found])


@dataclass(frozen=True)
class SolverTraits(Traits):
    """The start of a solver, and the data that its masks depend on."""

    from_initial: bool = _trait(False, "starts from the untrained network")
    reads_members: bool = _trait(
        True, "chooses masks by training examples, which a promise on the weights does not cover"
    )


@dataclass(frozen=True)
class ProbeTraits(Traits):
    """The time at which a probe is asked."""

    recorded: bool = _trait(False, "is recorded while models train")


@dataclass(frozen=True)
class FigureTraits(Traits):
    """Content of a figure, and its place on the page."""

    of_attacks: bool = _trait(False, "needs a study with attacks")
    section: str = _trait("privacy", "the anchor of the page's section that shows it")
    heading: str = _trait("", "what stands above it, its name if nothing is stated")
    order: int = _trait(0, "its place among the figures of its section, the lowest first")
    columns: str = _trait("", "what the table that it plots holds, where its columns need words")

    def __post_init__(self) -> None:
        if self.section not in PAGE_SECTIONS:
            allowed = f"allowed is one of {', '.join(PAGE_SECTIONS)}"
            raise ValueError(f"trait section is {self.section!r}; {allowed}")


TRAITS: dict[str, type[Traits]] = {
    "attack": AttackTraits,
    "solver": SolverTraits,
    "probe": ProbeTraits,
    "figure": FigureTraits,
}


def traits_of(kind: str) -> type[Traits]:
    """Return the class of a kind's traits."""
    return TRAITS.get(kind, Traits)


def make_traits(kind: str, given: Mapping[str, Any]) -> Traits:
    """Return the traits that a decorator states, checked.

    Raises:
        ValueError: The kind has no such trait, or the value is of another type.
    """
    known = {trait.name: trait for trait in fields(traits_of(kind))}
    for name, value in given.items():
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise ValueError(f"@{kind} has no trait {name}. Allowed: {allowed}")
        if type(value) is not type(known[name].default):
            wanted = type(known[name].default).__name__
            raise ValueError(f"trait {name} of @{kind} is {value!r}; allowed is a {wanted}")
    title = given.get("title", "")
    if len(title) > MOST_OF_A_TITLE or not title.isprintable():
        allowed = f"allowed are at most {MOST_OF_A_TITLE} characters on one line"
        raise ValueError(f"trait title of @{kind} is {title!r}; {allowed}")
    return traits_of(kind)(**given)
