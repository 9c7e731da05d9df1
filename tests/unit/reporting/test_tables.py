import pytest

from mia_pruning.reporting.tables import CsvTables


@pytest.fixture
def tables(tmp_path):
    """Two tables, of which one is not there."""
    (tmp_path / "results.csv").write_text("attack,value\nnet,1.5\n,2.5\n", encoding="utf-8")
    return CsvTables({name: str(tmp_path / f"{name}.csv") for name in ("results", "targets")})


def test_a_table_is_read_when_it_is_asked_for_and_once(tables):
    assert list(tables) == ["results", "targets"]
    assert tables["results"] is tables["results"]
    with pytest.raises(FileNotFoundError):
        tables["targets"]


def test_an_empty_name_of_an_attack_is_an_empty_string(tables):
    assert tables["results"]["attack"].tolist() == ["net", ""]
