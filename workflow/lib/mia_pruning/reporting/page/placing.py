"""Places of points' names: beside their points, over no other name or point, inside a frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from math import cos, dist, pi, sin

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

#: A name keeps this distance from all else. Lengths are in the units of the picture.
GAP = 3.0
#: These distances of a name from its point are tried, in this many directions.
DISTANCES, DIRECTIONS = (9, 14, 20, 28, 38, 50, 64, 80, 100), 16
#: At most this many points get a name, the first ones.
MOST_NAMED = 24
#: Against a place counts as so much distance: a line behind the name, or another point on the way
#: to it or nearer to it.
CROSSED, MISTAKEN = 30.0, 200.0


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Return whether the boxes share more than an edge.

        >>> Box(0, 0, 2, 2).overlaps(Box(1, 1, 3, 3)), Box(0, 0, 2, 2).overlaps(Box(2, 0, 3, 2))
        (True, False)
        """
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)

    def within(self, other: "Box") -> bool:
        """Return whether the box lies inside the other.

        >>> Box(1, 1, 2, 2).within(Box(0, 0, 3, 3)), Box(1, 1, 4, 2).within(Box(0, 0, 3, 3))
        (True, False)
        """
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the box that is nearest to another point.

        >>> Box(0, 0, 2, 2).nearest(5, 1)
        (2, 1)
        """
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)

    def crossed(self, line: "Line") -> bool:
        """Return whether a line runs through the box, as far as eleven of its points show."""
        (x, y), (to_x, to_y) = line
        reach = Box(min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))
        if (
            reach.right <= self.left
            or self.right <= reach.left
            or reach.bottom <= self.top
            or self.bottom <= reach.top
        ):
            return False
        steps = [step / 10 for step in range(11)]
        return any(self._holds(x + step * (to_x - x), y + step * (to_y - y)) for step in steps)

    def _holds(self, x: float, y: float) -> bool:
        return self.left < x < self.right and self.top < y < self.bottom


Line = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Named:
    """A point with its name's size."""

    x: float
    y: float
    width: float
    height: float


def place(
    points: Sequence[Named], frame: Box, radius: float, lines: Sequence[Line] = ()
) -> list[Box | None]:
    """Return the box of each point's name, or None where there is no room for it.

    The first point's name is placed first. Each name takes the free place nearest to its point,
    and rather one that no line crosses.
    """
    dots = [_around(point.x, point.y, radius) for point in points]
    placed: list[Box | None] = []
    leaders: list[Line] = []
    for index, point in enumerate(points[:MOST_NAMED]):
        taken = [*dots, *(box for box in placed if box)]
        free = [box for box in _candidates(point) if _is_free(box, taken, frame)]
        others = [*dots[:index], *dots[index + 1 :]]
        best = min(
            free,
            key=partial(
                _cost, point=point, lines=[*lines, *leaders], others=others, leaders=leaders
            ),
            default=None,
        )
        placed.append(best)
        if best:
            leaders.append(_leader(best, point))
    return [*placed, *[None] * (len(points) - len(placed))]


def _around(x: float, y: float, radius: float) -> Box:
    return Box(x - radius, y - radius, x + radius, y + radius)


def _candidates(point: Named) -> Iterator[Box]:
    """Yield boxes around a point, which touch circles around it."""
    for distance, step in product(DISTANCES, range(DIRECTIONS)):
        angle = 2 * pi * step / DIRECTIONS
        x = point.x + distance * cos(angle) + point.width / 2 * _sign(cos(angle))
        y = point.y + distance * sin(angle) + point.height / 2 * _sign(sin(angle))
        yield Box(
            x - point.width / 2, y - point.height / 2, x + point.width / 2, y + point.height / 2
        )


def _sign(value: float) -> int:
    """Return the sign of a value, 0 where only rounding keeps it from 0.

    >>> _sign(0.5), _sign(-2.0), _sign(1e-17)
    (1, -1, 0)
    """
    return 0 if abs(value) < 1e-9 else 1 if value > 0 else -1


def _is_free(box: Box, taken: Sequence[Box], frame: Box) -> bool:
    padded = Box(box.left - GAP, box.top - GAP / 2, box.right + GAP, box.bottom + GAP / 2)
    return box.within(frame) and not any(padded.overlaps(other) for other in taken)


def _leader(box: Box, point: Named) -> Line:
    return (point.x, point.y), box.nearest(point.x, point.y)


def _cost(
    box: Box, point: Named, lines: Sequence[Line], others: Sequence[Box], leaders: Sequence[Line]
) -> float:
    leader = _leader(box, point)
    away = dist(*leader)
    mistaken = sum(dot.crossed(leader) or _distance(box, dot) < away for dot in others)
    mistaken += sum(meet(leader, other) for other in leaders)
    return away + CROSSED * sum(box.crossed(line) for line in lines) + MISTAKEN * mistaken


def meet(one: Line, other: Line) -> bool:
    """Return whether two lines cross.

    >>> meet(((0, 0), (2, 2)), ((0, 2), (2, 0))), meet(((0, 0), (1, 1)), ((0, 2), (2, 1)))
    (True, False)
    """
    return _parts(one, other) and _parts(other, one)


def _parts(line: Line, other: Line) -> bool:
    """Return whether the ends of the other line are on different sides of this one."""
    (x, y), (to_x, to_y) = line
    sides = [(to_x - x) * (v - y) - (to_y - y) * (u - x) for u, v in other]
    return sides[0] * sides[1] < 0


def _distance(box: Box, dot: Box) -> float:
    """Return the distance from a name to the middle of a point."""
    centre = ((dot.left + dot.right) / 2, (dot.top + dot.bottom) / 2)
    return dist(box.nearest(*centre), centre)


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return a text's width in DejaVu Sans, which is wider than what screens usually use.

    The unit is that of `size`.

    >>> 30 < text_width("pruned", 12) < 50
    True
    """
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width)
