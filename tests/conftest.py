"""What all tests share: few generated examples a property, the same in every run, and a validator of crates."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from requests.adapters import HTTPAdapter
from rocrate import vocabs
from urllib3 import HTTPResponse

from mia_pruning.types import StudyError

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "workflow" / "lib"

settings.register_profile("suite", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("suite")


class _Shelf(HTTPAdapter):
    """Answers requests with documents at hand, and with nothing else."""

    def __init__(self, documents):
        super().__init__()
        self.documents = documents

    def send(self, request, **options):
        body = io.BytesIO(json.dumps(self.documents[request.url]).encode())
        head = {"Content-Type": "application/ld+json"}
        return self.build_response(
            request, HTTPResponse(body, headers=head, status=200, preload_content=False)
        )


def _contexts():
    """The words of an RO-Crate and of its run profiles: those of 1.3, which `rocrate` brings, but for four that 1.1 spells in
    another way.
    """
    bioschemas, run = "https://bioschemas.org/", "https://w3id.org/ro/terms/workflow-run"
    kinds = {name: bioschemas + name for name in ("ComputationalWorkflow", "FormalParameter")}
    roles = {name: f"{bioschemas}ComputationalWorkflow#{name}" for name in ("input", "output")}
    words = {**vocabs.RO_CRATE["@context"], **kinds, **roles}
    return {
        "https://w3id.org/ro/crate/1.1/context": {"@context": words},
        f"{run}/context": {"@context": {"sha256": f"{run}#sha256"}},
    }


@pytest.fixture
def crate_issues(tmp_path):
    """A function: what a crate lacks of the profile Provenance Run Crate, by its validator, without a network."""
    from requests_cache import (
        CachedSession,  # these two take seconds, which most tests need not spend
    )
    from rocrate_validator import models, services

    def validate(folder, severity="REQUIRED"):
        cache = tmp_path / "contexts"
        with CachedSession(cache, expire_after=-1) as session:
            session.mount("https://", _Shelf(_contexts()))
            for url in _contexts():
                session.get(url)
        settings = services.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier="provenance-run-crate-0.5",
            requirement_severity=models.Severity[severity],
            offline=True,
            cache_path=cache,
        )
        return {issue.message for issue in services.validate(settings).get_issues()}

    return validate


@pytest.fixture(scope="session", autouse=True)
def collected_messages():
    """Collect the messages of all refusals, with the lines that raise them, for `make messages`."""
    made, initialise = [], StudyError.__init__

    def collect(error, *parts, **named):
        initialise(error, *parts, **named)
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name in ("__init__", "below", "with_end"):
            frame = frame.f_back
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(LIBRARY):
            made.append((f"{file.relative_to(ROOT)}:{frame.f_lineno}", str(error)))

    StudyError.__init__ = collect
    yield
    StudyError.__init__ = initialise
    folder = ROOT / ".pytest_cache" / "messages"
    folder.mkdir(parents=True, exist_ok=True)
    name = os.environ.get("PYTEST_XDIST_WORKER", "main")
    content = json.dumps(list(dict.fromkeys(made)))
    (folder / f"{name}_{os.getpid()}.json").write_text(content, encoding="utf-8")
