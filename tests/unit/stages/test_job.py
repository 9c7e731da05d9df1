import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from mia_pruning.stages.job import job, logger
from mia_pruning.types import StudyError


@pytest.fixture
def snakemake(tmp_path):
    (tmp_path / "in.txt").write_text("abc")

    class Named(list):
        def items(self):
            return [("a", 1)]

    return SimpleNamespace(
        rule="train_models",
        wildcards=Named(["7"]),
        params=Named(),
        input=[tmp_path / "in.txt"],
        output=[tmp_path / "out.txt", tmp_path / "folder"],
        log=[str(tmp_path / "log" / "x.log")],
    )


def test_a_job_yields_its_record_and_leaves_it_beside_the_log(snakemake, tmp_path):
    with job(snakemake) as record:
        assert (record["rule"], record["params"], record["wildcards"]) == (
            "train_models",
            {"a": 1},
            {"a": 1},
        )
        assert list(record["inputs"]) == [str(tmp_path / "in.txt")]
        (tmp_path / "out.txt").write_text("made")
    left = json.loads((tmp_path / "log" / "x.provenance.json").read_text())
    started, ended = (datetime.fromisoformat(left.pop(name)) for name in ("started", "ended"))
    assert timedelta(0) <= ended - started < timedelta(minutes=1)
    assert ended.tzinfo == UTC
    assert left.pop("outputs") == {str(tmp_path / "out.txt"): hashlib.sha256(b"made").hexdigest()}
    assert left == record


@pytest.mark.parametrize("error", [StudyError("the key x"), ArithmeticError("the loss is nan")])
def test_a_known_error_ends_in_one_sentence(snakemake, tmp_path, capsys, error):
    with pytest.raises(SystemExit) as ended, job(snakemake):
        raise error
    assert ended.value.code == 1
    for text in (capsys.readouterr().err, (tmp_path / "log" / "x.log").read_text()):
        assert f"stopped: {error}" in text
        assert "Traceback" not in text
    assert not (tmp_path / "log" / "x.provenance.json").exists()


def test_an_unknown_errors_traceback_goes_to_the_log_alone(snakemake, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended, job(snakemake):
        raise KeyError("surprise")
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert str(tmp_path / "log" / "x.log") in shown
    assert "Traceback" not in shown
    assert "KeyError: 'surprise'" in (tmp_path / "log" / "x.log").read_text()


def test_progress_goes_to_the_console_and_to_the_log_of_this_job_alone(snakemake, tmp_path, capsys):
    with job(snakemake):
        logger.info("first")
    snakemake.log = [str(tmp_path / "other.log")]
    with job(snakemake):
        logger.info("second")
    assert "train_models 7: first" in capsys.readouterr().err
    assert "second" not in (tmp_path / "log" / "x.log").read_text()
    assert "second" in (tmp_path / "other.log").read_text()
