"""The lottery ticket (Frankle and Carbin 2019).

A trained network's largest weights are trained again from their initial values.
"""

from dataclasses import dataclass
from typing import Annotated

from mia_pruning.constraints.one_shot import Magnitude
from mia_pruning.registry import solver


@solver(title="lottery ticket", reads_members=False)
@dataclass(frozen=True)
class LotteryTicket(Magnitude):
    """The lottery ticket as a solver.

    rewind_epochs: the kept weights return to their values after so many epochs of dense
    training; 0 is initialisation.

    Source: Frankle and Carbin 2019, section 2, one-shot pruning; rewinding to a later epoch:
    Frankle et al. 2020.

    Differs: each layer keeps as many weights as the constraint gives it. Retraining starts its
    schedule and its optimiser from scratch, instead of continuing from the epoch that was
    rewound to.
    """

    rewind_epochs: Annotated[int, ">= 0"] = 0
