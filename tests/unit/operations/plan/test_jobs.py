import pytest

from mia_pruning.operations.plan.jobs import parse_job_table

TABLE = """host: x
Job stats:
job              count
-------------  -------
train_targets       12
all                  1
total               13

This was a dry-run (flag -n).
"""


def test_the_table_may_be_printed_twice():
    assert parse_job_table(TABLE + TABLE) == {"train_targets": 12}


@pytest.mark.parametrize("text", ["", TABLE.replace("13", "14"), "Nothing to be done."])
def test_what_is_no_table_is_no_plan_of_zero_jobs(text):
    with pytest.raises(RuntimeError, match="not understood"):
        parse_job_table(text)
