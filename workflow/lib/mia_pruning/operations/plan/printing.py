"""The plan and the comparison as tables for a terminal, in units that people read."""

from collections.abc import Sequence

from mia_pruning.operations.plan.comparison import Comparison
from mia_pruning.operations.plan.costs import Cost, RuleCost

_DURATIONS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def duration(seconds: float) -> str:
    """Return seconds, minutes or hours as text.

    >>> duration(0), duration(42), duration(200), duration(36000)
    ('0 s', '42 s', '3.3 min', '10 h')
    """
    return _scaled(seconds, _DURATIONS)


def size(n_bytes: float) -> str:
    """Return bytes as text, in powers of a thousand.

    >>> size(1_725_952), size(25)
    ('1.7 MB', '0.025 kB')
    """
    return _scaled(n_bytes, _SIZES)


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    scale, unit = next(((scale, unit) for scale, unit in units if value >= scale), units[-1])
    scaled = value / scale
    return f"{scaled:,.0f} {unit}" if scaled >= 100 else f"{scaled:.2g} {unit}"


def gpu_seconds(cost: Cost, tflops: float) -> float:
    """Return operations over an assumed rate.

    tflops: the rate, in 10^12 operations a second.
    """
    return cost.flops / (tflops * 1e12)


def plan_table(costs: Sequence[RuleCost], total: RuleCost, tflops: float) -> str:
    rows = [
        [
            entry.rule,
            str(entry.jobs),
            str(entry.cost.models) if entry.cost.models else "",
            duration(entry.cost.cpu_seconds),
            duration(gpu_seconds(entry.cost, tflops)) if entry.cost.flops else "",
            size(entry.cost.memory_bytes),
            size(entry.cost.disk_bytes),
        ]
        for entry in [*costs, total]
    ]
    return aligned(
        [["rule", "jobs", "models", "CPU time", "or GPU", "memory a job", "disk"], *rows]
    )


def comparison_table(rows: Sequence[Comparison]) -> str:
    lines = [
        [
            row.rule,
            str(row.jobs),
            duration(row.estimated),
            duration(row.measured),
            f"{row.ratio:.2f}",
            size(row.estimated_bytes),
            size(row.measured_bytes),
        ]
        for row in rows
    ]
    return aligned(
        [
            ["rule", "jobs run", "CPU planned", "measured", "ratio", "memory planned", "measured"],
            *lines,
        ]
    )


def aligned(rows: list[list[str]]) -> str:
    """Return rows as lines with columns of the smallest sufficient width.

    The first column is words, the remaining ones are numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
