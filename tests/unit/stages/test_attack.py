import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning import storage
from mia_pruning.data.split import make_split
from mia_pruning.seeds import stream
from mia_pruning.stages.attack import attack_groups, run_attack
from mia_pruning.stages.packed import read_split
from mia_pruning.types import StudyError

SPY = '''
import numpy as np
from mia_pruning.registry import attack

calls = []

@attack
def spy(targets, shadows, rng, *, factor: float = 1.0):
    """Scores that name the model and the example; what the attack was given is kept."""
    calls.append((targets, shadows, rng.random()))
    return factor * targets.logits[..., 0]

@attack(probes=("steepness",), dense=True)
def of_both(targets, shadows, rng):
    calls.append((targets, shadows, 0))
    return targets.probes["steepness"] + targets.dense[..., 0]

@attack(images=True)
def of_images(targets, shadows, rng):
    calls.append((targets, shadows, 0))
    return targets.logits[..., 0]

@attack(population=True)
def of_population(targets, shadows, rng):
    return targets.logits[..., 0]

@attack
def broken(targets, shadows, rng):
    return np.where(targets.logits[..., 0] == 3, np.nan, 1.0)

@attack
def one_class(targets, shadows, rng):
    from mia_pruning.metrics.membership import best_threshold
    return targets.logits[..., 0] - best_threshold(shadows.logits[0, :, 0], np.ones(len(shadows.labels), dtype=bool))

@attack
def raising(targets, shadows, rng):
    raise KeyError("what is missing")

@attack
def flat(targets, shadows, rng):
    return targets.logits[0, :, 0]
'''
SECTION = {"protocol": "pool", "examples": 20, "models": 6, "reference": 2, "test": 5}


@pytest.fixture
def attacked(tmp_path, monkeypatch):
    """Runs an attack of the spy's module; returns scores, what it was given and the split."""
    (tmp_path / "spying_attack.py").write_text(SPY)
    monkeypatch.syspath_prepend(tmp_path)
    import spying_attack

    labels = np.arange(80) % 4

    def other_shadows(section):
        """Shadow models with examples and a split of their own: arguments of `run_attack`."""
        folder = tmp_path / "others"
        run.other_labels, run.other_split = np.arange(40) % 4, folder / "split.npz"
        split = make_split(section, run.other_labels, np.arange(40), np.random.default_rng(1))
        storage.write_arrays(run.other_split, {}, **split.as_arrays())
        storage.write_json(
            folder / "dataset.json", {"class_names": list("abcd"), "image_shape": [1, 1, 1]}
        )
        storage.write_array(folder / "images.npy", np.zeros((40, 1, 1, 1), dtype=np.uint8))
        storage.write_array(folder / "labels.npy", run.other_labels)
        shape = (len(split.membership), split.examples.size, 4)
        storage.write_array(folder / "signals.npy", np.zeros(shape))
        storage.write_array(
            folder / "steepness.npy", np.zeros((len(split.membership), split.pool.size))
        )
        return {
            "shadow_signals": folder / "signals.npy",
            "shadow_probes": {"steepness": folder / "steepness.npy"},
            "shadow_dataset": folder / "dataset.json",
            "shadow_split": run.other_split,
        }

    def run(
        section=SECTION,
        name="spy",
        attacker="adaptive",
        spoilt="",
        spoil=None,
        cut=lambda: None,
        others=None,
        **options,
    ):
        """spoil: changes the answers of the file `spoilt`; cut: is done to files before the attack; options: of the attack.

        others: the split section of shadow models with examples of their own.
        """
        spying_attack.calls.clear()
        split = make_split(section, labels, np.arange(80), np.random.default_rng(0))
        storage.write_arrays(tmp_path / "split.npz", {}, **split.as_arrays())
        storage.write_json(
            tmp_path / "dataset.json", {"class_names": list("abcd"), "image_shape": [1, 1, 1]}
        )
        storage.write_array(
            tmp_path / "images.npy", np.arange(80, dtype=np.uint8).reshape(80, 1, 1, 1)
        )
        storage.write_array(tmp_path / "labels.npy", labels)
        n_models, n_examples = len(split.membership), split.examples.size
        logits = np.zeros((n_models, n_examples, 4))
        logits[..., 0] = np.arange(n_models)[:, None] * 1000 + np.arange(n_examples)
        pooled = logits[:, : split.pool.size, 0]
        answers = {
            "targets": logits,
            "shadows": -logits,
            "steepness": pooled + 0.5,
            "shadows_steepness": -pooled - 0.5,
        }
        for file, values in answers.items():
            storage.write_array(
                tmp_path / f"{file}.npy", spoil(np.ceil(values)) if file == spoilt else values
            )
        cut()
        shadows = {
            "shadow_signals": tmp_path / "shadows.npy",
            "shadow_probes": {"steepness": tmp_path / "shadows_steepness.npy"},
        }
        run_attack(
            tmp_path / "dataset.json",
            tmp_path / "split.npz",
            target_signals=tmp_path / "targets.npy",
            target_probes={"steepness": tmp_path / "steepness.npy"},
            **(shadows if others is None else other_shadows(others)),
            dense_signals=tmp_path / "shadows.npy" if name == "of_both" else None,
            attack={"use": f"spying_attack.{name}", "targets_per_group": 2, **options},
            attacker=attacker,
            seed=5,
            output=tmp_path / "scores.npz",
            record={},
        )
        found = storage.read_arrays(tmp_path / "scores.npz")
        run.unknown, run.failure = found["unknown"], str(found["failure"])
        run.population = int(found["population"])
        return found["scores"], list(spying_attack.calls), split, labels

    return run


def model_numbers(signals):
    return (np.abs(signals.logits[:, 0, 0]) // 1000).astype(int).tolist()


def test_targets_carry_no_membership_and_shadows_their_own(attacked):
    _, calls, split, labels = attacked()
    for targets, shadows, _ in calls:
        assert targets.membership is None
        np.testing.assert_array_equal(shadows.membership, split.membership[model_numbers(shadows)])
        np.testing.assert_array_equal(shadows.candidates, split.candidates[model_numbers(shadows)])
        np.testing.assert_array_equal(targets.candidates, split.candidates[model_numbers(targets)])
        np.testing.assert_array_equal(targets.labels, labels[split.pool])


def test_the_population_is_counted_of_an_attack_that_compares_with_it(attacked):
    _, _, split, _ = attacked(name="of_population")
    assert attacked.population == split.test.size > 0
    attacked()
    assert attacked.population == 0


def test_neither_a_target_nor_its_twin_is_among_its_shadows(attacked):
    _, calls, *_ = attacked()
    assert [model_numbers(targets) for targets, _, _ in calls] == [[0, 1], [2, 3], [4, 5]]
    for targets, shadows, _ in calls:
        assert set(model_numbers(shadows)) == set(range(6)) - set(model_numbers(targets))


def test_shadows_come_from_the_shadows_signals_and_both_see_the_pool_only(attacked):
    _, calls, split, _ = attacked()
    for targets, shadows, _ in calls:
        assert (shadows.logits[..., 0] <= 0).all()
        assert (targets.logits[..., 0] >= 0).all()
        assert targets.logits.shape[1] == shadows.logits.shape[1] == split.pool.size


def test_the_population_is_the_examples_that_measure_accuracy(attacked):
    for attacker in ("adaptive", "known_members"):
        _, calls, split, labels = attacked(attacker=attacker)
        for signals in (signals for targets, shadows, _ in calls for signals in (targets, shadows)):
            np.testing.assert_array_equal(signals.population_labels, labels[split.test])
            columns = np.abs(signals.population[..., 0]) % 1000
            np.testing.assert_array_equal(
                columns, np.tile(np.arange(20, 25), (len(signals.logits), 1))
            )
            assert (np.abs(signals.population[:, 0, 0]) // 1000).astype(
                int
            ).tolist() == model_numbers(signals)


@pytest.mark.parametrize("groups", [2, 4])
def test_each_score_lands_at_its_target_and_example(attacked, groups):
    scores, *_ = attacked(targets_per_group=groups, factor=2.0)
    np.testing.assert_array_equal(scores, 2.0 * (np.arange(6)[:, None] * 1000 + np.arange(20)))


def test_each_group_has_a_stream_of_its_own(attacked):
    _, calls, *_ = attacked()
    assert [drawn for *_, drawn in calls] == [
        stream(5, "attack", "spying_attack.spy", group).random() for group in range(3)
    ]


def test_in_a_disjoint_split_all_targets_are_attacked_at_once_by_the_shadow_models(attacked):
    section = {**SECTION, "protocol": "disjoint", "shadow_examples": 12, "shadow_models": 4}
    scores, calls, split, _ = attacked(section)
    ((targets, shadows, _),) = calls
    assert model_numbers(targets) == list(range(6))
    assert model_numbers(shadows) == list(range(6, 10))
    assert not (shadows.candidates.any(axis=0) & targets.candidates.any(axis=0)).any()
    assert scores.shape == (6, split.pool.size)


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("broken", "ArithmeticError: 1 of 40 scores are not finite"),
        ("raising", "KeyError: 'what is missing'"),
        (
            "flat",
            r"ValueError: the scores have shape (20,); one for each target and example, (2, 20), is needed",
        ),
    ],
)
def test_an_attack_that_fails_leaves_no_scores_and_says_why_and_where(
    attacked, name, failure, caplog
):
    scores, *_ = attacked(name=name)
    assert np.isnan(scores).all()
    assert re.fullmatch(
        rf"spying_attack\.{name} on \S+targets\.npy: {re.escape(failure)}", attacked.failure
    )
    assert f"spying_attack.{name}" in caplog.text
    assert "spying_attack.py" in caplog.text
    assert "targets.npy" in caplog.text


def test_an_attack_that_works_reports_no_failure(attacked):
    attacked()
    assert attacked.failure == ""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda answers: np.where(answers == 2, np.nan, answers),
            "ArithmeticError: {file}: holds answers that are not finite",
        ),
        (
            lambda answers: np.where(answers == 2, np.inf, answers),
            "ArithmeticError: {file}: holds answers that are not finite",
        ),
        (
            lambda answers: answers[1:],
            "ValueError: {file}: answers of 5 models on {n} examples; the split has (6, {n})",
        ),
        (
            lambda answers: answers[:, 1:],
            "ValueError: {file}: answers of 6 models on {less} examples; the split has (6, {n})",
        ),
    ],
)
@pytest.mark.parametrize(
    ("spoilt", "n"),
    [("targets", 27), ("shadows", 27), ("steepness", 20), ("shadows_steepness", 20)],
)
def test_answers_that_cannot_be_the_splits_fail_the_attack_and_name_it_and_their_file(
    attacked, spoil, message, spoilt, n
):
    scores, calls, *_ = attacked(
        name="of_both", spoilt=spoilt, spoil=lambda answers: spoil(np.abs(answers))
    )
    assert not calls
    assert np.isnan(scores).all()
    assert "spying_attack.of_both on" in attacked.failure
    path = re.search(rf"\S+/{spoilt}\.npy(?=: (answers|holds))", attacked.failure)[0]
    assert attacked.failure.endswith(message.format(file=path, n=n, less=n - 1))


def test_a_file_that_was_cut_short_stops_the_job(attacked, tmp_path):
    attacked()
    path = tmp_path / "targets.npy"
    with pytest.raises(StudyError, match=r"targets\.npy"):
        attacked(cut=lambda: path.write_bytes(path.read_bytes()[:-100]))


def test_an_attack_whose_shadows_are_all_members_names_itself_and_the_file(attacked, tmp_path):
    scores, *_ = attacked(name="one_class")
    assert np.isnan(scores).all()
    assert re.search(
        r"spying_attack\.one_class on \S+targets\.npy: ValueError: membership has one class only",
        attacked.failure,
    )


def test_probes_and_the_dense_release_go_with_their_models(attacked):
    scores, calls, *_ = attacked(name="of_both")
    logits = np.arange(6)[:, None] * 1000 + np.arange(20)
    np.testing.assert_array_equal(scores, logits + 0.5 - logits)
    for targets, shadows, _ in calls:
        np.testing.assert_array_equal(targets.probes["steepness"], targets.logits[..., 0] + 0.5)
        np.testing.assert_array_equal(shadows.probes["steepness"], shadows.logits[..., 0] - 0.5)
        np.testing.assert_array_equal(targets.dense, -targets.logits)
        np.testing.assert_array_equal(shadows.dense, shadows.logits)


def test_images_of_pool_and_population_are_shown_to_who_asks(attacked):
    _, calls, split, _ = attacked(name="of_images")
    for signals in (signals for targets, shadows, _ in calls for signals in (targets, shadows)):
        np.testing.assert_array_equal(signals.images[:, 0, 0, 0], split.pool)
        np.testing.assert_array_equal(signals.population_images[:, 0, 0, 0], split.test)
    _, calls, *_ = attacked()
    assert all(targets.images is None for targets, *_ in calls)


def test_a_shadow_attacker_is_told_about_no_candidate_of_its_targets(attacked):
    _, _, split, _ = attacked()
    np.testing.assert_array_equal(attacked.unknown, split.candidates[split.is_target])


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
def test_a_known_member_attacker_learns_half_of_each_group_of_the_target_itself(attacked, protocol):
    section = {**SECTION, "protocol": protocol, "shadow_examples": 12, "shadow_models": 4}
    _, calls, split, _ = attacked(section, attacker="known_members")
    assert [model_numbers(targets) for targets, _, _ in calls] == [[row] for row in range(6)]
    for row, (target, known, _) in enumerate(calls):
        np.testing.assert_array_equal(known.logits, target.logits)
        assert target.membership is None
        told, asked = known.candidates[0], target.candidates[0]
        members, candidates = split.membership[row], split.candidates[row]
        assert not (told & asked).any()
        np.testing.assert_array_equal(told | asked, candidates)
        for group in (candidates & members, candidates & ~members):
            assert (told & group).sum() == (asked & group).sum() == group.sum() / 2
            for label in range(4):
                of_class = group & (known.labels == label)
                assert abs(int((told & of_class).sum()) - int((asked & of_class).sum())) <= 1
        np.testing.assert_array_equal(known.known_rows()[2], members[told])
        assert not known.membership[0][asked].any()
        np.testing.assert_array_equal(attacked.unknown[row], asked)


OTHER_SECTION = {"protocol": "pool", "examples": 12, "models": 4, "reference": 2, "test": 6}


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
def test_generated_shadows_attack_all_targets_at_once_with_examples_of_their_own(
    attacked, protocol
):
    section = {**SECTION, "protocol": protocol, "shadow_examples": 12, "shadow_models": 4}
    scores, calls, split, labels = attacked(
        section, attacker="generated_shadows", others=OTHER_SECTION
    )
    ((targets, shadows, drawn),) = calls
    assert model_numbers(targets) == list(range(6))
    assert targets.membership is None
    np.testing.assert_array_equal(targets.labels, labels[split.pool])
    np.testing.assert_array_equal(attacked.unknown, split.candidates[split.is_target])
    other = read_split(attacked.other_split)
    np.testing.assert_array_equal(shadows.membership, other.membership)
    np.testing.assert_array_equal(shadows.labels, attacked.other_labels[other.pool])
    np.testing.assert_array_equal(shadows.population_labels, attacked.other_labels[other.test])
    assert shadows.logits.shape == (4, 12, 4)
    assert shadows.probes["steepness"].shape == (4, 12)
    assert scores.shape == (6, split.pool.size)
    assert drawn == stream(5, "attack", "spying_attack.spy", 0).random()


def test_every_attack_and_defence_is_told_the_same_halves(attacked):
    _, calls, *_ = attacked(attacker="known_members")
    _, again, *_ = attacked(attacker="known_members", factor=3.0)
    halves = [target.candidates[0] for target, _, _ in calls]
    for half, (target, _, _) in zip(halves, again, strict=True):
        np.testing.assert_array_equal(half, target.candidates[0])
    assert len({half.tobytes() for half in halves}) == len(halves)
    assert len({drawn for *_, drawn in calls}) == len(calls)


@pytest.mark.parametrize(("leak", "low", "high"), [(6.0, 0.9, 1.0), (0.0, 0.45, 0.55)])
@pytest.mark.parametrize("attack", ["loss", "modified_entropy", "neural_network"])
def test_what_is_told_helps_to_guess_the_rest_if_there_is_a_leak_and_else_not(
    tmp_path, attack, leak, low, high
):
    labels = np.arange(700) % 4
    section = {**SECTION, "examples": 600, "models": 4}
    split = make_split(section, labels, np.arange(700), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, split.examples.size, 4))
    logits[:, np.arange(600), labels[split.pool]] += leak * split.membership
    storage.write_arrays(tmp_path / "split.npz", {}, **split.as_arrays())
    storage.write_json(
        tmp_path / "dataset.json", {"class_names": list("abcd"), "image_shape": [1, 1, 1]}
    )
    storage.write_array(tmp_path / "images.npy", np.zeros((700, 1, 1, 1), np.uint8))
    storage.write_array(tmp_path / "labels.npy", labels)
    storage.write_array(tmp_path / "signals.npy", logits.astype(np.float32))
    run_attack(
        tmp_path / "dataset.json",
        tmp_path / "split.npz",
        target_signals=tmp_path / "signals.npy",
        shadow_signals=tmp_path / "signals.npy",
        target_probes={},
        shadow_probes={},
        dense_signals=None,
        attack={
            "use": attack,
            "targets_per_group": 2,
            **({"epochs": 10, "batch_size": 25} if attack == "neural_network" else {}),
        },
        attacker="known_members",
        seed=5,
        output=tmp_path / "scores.npz",
        record={},
    )
    found = storage.read_arrays(tmp_path / "scores.npz")
    truth = split.membership[split.is_target]
    accuracies = []
    for scores, unknown, members in zip(found["scores"], found["unknown"], truth, strict=True):
        guesses = scores > 0
        accuracies.append(
            ((guesses & members)[unknown].sum() + (~guesses & ~members)[unknown].sum())
            / unknown.sum()
        )
    assert low <= np.mean(accuracies) <= high


@given(pairs=st.integers(2, 10), pairs_per_group=st.integers(1, 9))
def test_each_target_is_attacked_once_and_never_by_itself_or_its_twin(pairs, pairs_per_group):
    groups = attack_groups(np.ones(2 * pairs, dtype=bool), 2 * min(pairs_per_group, pairs - 1))
    assert np.concatenate([targets for targets, _ in groups]).tolist() == list(range(2 * pairs))
    for targets, shadows in groups:
        assert {target ^ 1 for target in targets.tolist()} == set(targets.tolist())
        assert {shadow ^ 1 for shadow in shadows.tolist()} == set(shadows.tolist())
        assert not set(shadows.tolist()) & set(targets.tolist())
    (n_shadows,) = {
        shadows.size for _, shadows in groups
    }  # whether or not the group at the end is smaller
    assert n_shadows == 2 * pairs - 2 * min(pairs_per_group, pairs - 1)


def test_the_targets_of_a_disjoint_split_share_all_shadows():
    section = {**SECTION, "protocol": "disjoint", "shadow_examples": 24, "shadow_models": 4}
    split = make_split(section, np.arange(80) % 4, np.arange(80), np.random.default_rng(0))
    ((targets, shadows),) = attack_groups(split.is_target, 2)
    assert targets.tolist() == list(range(6))
    assert shadows.tolist() == list(range(6, 10))


@pytest.mark.parametrize("targets_per_group", [2, 4])
def test_the_shadows_counts_say_nothing_about_a_targets_membership(targets_per_group):
    """Were the twin among the shadows, an example of which few shadows are IN would be the target's member."""
    split = make_split(
        {**SECTION, "models": 8}, np.arange(80) % 4, np.arange(80), np.random.default_rng(0)
    )
    for _, shadows in attack_groups(split.is_target, targets_per_group):
        assert (split.membership[shadows].sum(axis=0) == shadows.size / 2).all()
    alone = np.delete(split.membership, 0, axis=0).sum(axis=0)
    np.testing.assert_array_equal(
        alone == 3, split.membership[0]
    )  # what leaving out the target alone would give away
