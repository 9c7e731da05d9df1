import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mia_pruning.reporting.exposing import (
    exposed_examples,
    most_exposed,
    picture,
    shared_exposure,
    shown_examples,
)

N = 2000


def exposed(halves_of, seed=0):
    """defence -> (first half, second half) of each of the N examples, as the summary's table."""
    parts = [
        pd.DataFrame(
            {"experiment": "e", "seed": seed, "defence": defence, "example": np.arange(N) + 100, "label": np.arange(N) % 4,
             "first_half": first, "second_half": second, "no_leak_first_half": 0.5, "no_leak_second_half": 0.5}
        )
        for defence, (first, second) in halves_of.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def noise(seed):
    return np.random.default_rng(seed).uniform(0.3, 0.7, N)


def rows_of(table):
    return {row["defence"]: row for row in exposed_examples(table, "e")}


def test_luck_in_the_choice_is_none_in_the_measure():
    """Where nothing is exposed, the examples that look most exposed on one half are ordinary on the other."""
    found = rows_of(exposed({"baseline": (noise(0), noise(1))}))["baseline"]
    assert found["low"] < 0 < found["high"]
    assert found["n"] == 20


def test_a_defence_that_protects_the_exposed_is_told_from_one_that_does_not():
    leak = 0.29 * (np.arange(N) < 20)
    found = rows_of(
        exposed(
            {
                "baseline": (noise(0) + leak, noise(1) + leak),
                "useless": (noise(2) + leak, noise(3) + leak),
                "protecting": (noise(4), noise(5)),
            }
        )
    )
    assert found["baseline"]["most"] > 0.1
    assert found["useless"]["low"] > found["protecting"]["high"]
    assert found["protecting"]["most"] == pytest.approx(0, abs=0.06)


def test_the_class_gap_names_both_ends():
    by_class = np.array([0.5, 0.8, 0.6, 0.4])[np.arange(N) % 4]
    found = rows_of(exposed({"baseline": (by_class, by_class)}))["baseline"]
    assert found["most_exposed_class"] == ([1], pytest.approx(0.3))
    assert found["least_exposed_class"] == ([3], pytest.approx(-0.1))


def test_of_classes_that_are_exposed_alike_none_looks_exposed():
    """Of many classes one is ahead by luck on either half; on the other half it is ordinary."""
    first, second = (np.full(N, 0.5) for _ in range(2))
    first[np.arange(N) % 4 == 1] = second[np.arange(N) % 4 == 2] = 0.9
    found = rows_of(exposed({"baseline": (first, second)}))["baseline"]
    assert found["most_exposed_class"] == ([1, 2], pytest.approx(0))


def correlations(*rows):
    return pd.DataFrame(rows, columns=["defence", "value", "low", "high"])


OWN = ("baseline", 1.0, 1.0, 1.0)


def test_defences_are_told_apart_by_whether_the_interval_reaches_1():
    rows = ("same", 0.97, 0.9, 1.0), ("stopped", 0.84, 0.78, 0.9), ("private", *[np.nan] * 3)
    said = shared_exposure(correlations(OWN, *rows))
    assert "stopped 0.84 (0.78 to 0.90)" in said
    assert "differs" not in said
    assert "For private it cannot be told." in said


def test_what_no_defence_does_is_not_said():
    said = shared_exposure(correlations(OWN, ("stopped", 0.84, 0.78, 0.9)))
    assert said == "Correlation of exposures with the baseline's: stopped 0.84 (0.78 to 0.90)."


def test_where_the_baselines_models_do_not_agree_no_defence_is_compared():
    said = shared_exposure(correlations(("baseline", *[np.nan] * 3), ("pruned", *[np.nan] * 3)))
    assert said.startswith("Pairs of the baseline's own models do not agree")


def test_seeds_are_averaged_and_never_mixed():
    """The same row of the data is another example of another seed's pool."""
    high, low = np.full(N, 0.9), np.full(N, 0.5)
    both = pd.concat([exposed({"baseline": (high, high)}, 0), exposed({"baseline": (low, low)}, 1)])
    assert rows_of(both)["baseline"]["most"] == pytest.approx(0.2)


def test_the_most_exposed_are_a_share_and_at_least_one():
    assert most_exposed(pd.Series(np.arange(300.0))).tolist() == [299, 298, 297]
    assert most_exposed(pd.Series([0.1, 0.3, 0.2])).tolist() == [1]


def test_pictures_show_the_examples_by_their_row_of_the_data():
    lasting = np.linspace(0.4, 0.9, N)
    images = np.zeros((N + 100, 4, 4, 1), np.uint8)
    images[N + 99] = 200
    shown = shown_examples(exposed({"baseline": (lasting, lasting)}), "e", images, list("abcd"))
    assert len(shown) == 12
    assert (shown[0]["row"], shown[0]["label"]) == (N + 99, "d")
    assert shown[0]["excess"] == pytest.approx(0.4)
    head, data = shown[0]["picture"].split(",")
    assert head == "data:image/png;base64"
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert drawn.shape == (84, 84)
    assert (drawn == 200).all()


def test_pictures_of_colour_keep_their_pixels():
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture(image).split(",")[1]))))
    np.testing.assert_array_equal(drawn[::28, ::28], image)
