"""Stage: fetch a data set's files, and record their digests."""

from typing import Any

from mia_pruning import storage
from mia_pruning.data.sources import check_sources, digest_like
from mia_pruning.stages.job import logger
from mia_pruning.types import DatasetSource


def fetch_dataset(source: DatasetSource, output: str, record: dict[str, Any]) -> None:
    """Write the digest of each source file, once all are there and equal the published ones."""
    if source.fetch is not None:
        source.fetch()
    check_sources(source, source.name, fetched=True)
    files = {
        path.name: digest_like(published or "sha256", path)
        for path, published in source.files.items()
    }
    storage.write_json(
        output,
        {"name": source.name, "files": files, "identity": source.identity, "provenance": record},
    )
    for name, digest in files.items():
        logger.info("%s %s", name, digest)
