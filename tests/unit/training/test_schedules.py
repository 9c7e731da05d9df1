import itertools

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.study.schema import SCHEMA
from mia_pruning.training.schedules import SCHEDULES, constant, cosine, set_learning_rate_


@given(epochs=st.integers(1, 300))
def test_cosine_falls_from_one_towards_zero(epochs):
    factors = [cosine(epoch, epochs) for epoch in range(epochs)]
    assert factors[0] == 1
    assert all(later < earlier for earlier, later in itertools.pairwise(factors))
    assert factors[-1] > 0
    assert cosine(epochs, epochs) == pytest.approx(0, abs=1e-15)
    assert sum(factors) == pytest.approx((epochs + 1) / 2)


@given(epochs=st.integers(1, 300))
def test_constant_is_exactly_one(epochs):
    assert {constant(epoch, epochs) for epoch in range(epochs)} == {1.0}


def test_every_group_gets_the_learning_rate():
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD(
        [{"params": [weights[0]], "lr": 0.3}, {"params": [weights[1]]}], lr=0.1
    )
    set_learning_rate_(optimizer, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]


def test_the_schema_names_exactly_the_schedules():
    training = yaml.safe_load(SCHEMA.read_text())["$defs"]["training"]
    assert set(training["properties"]["schedule"]["enum"]) == set(SCHEDULES)
