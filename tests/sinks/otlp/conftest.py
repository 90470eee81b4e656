"""Fixtures: a collector over gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sinks.otlp.receivers import GrpcReceiver
from tests.sinks.receivers import Certificates


@pytest.fixture
async def collector(tmp_path: Path, certificates: Certificates) -> AsyncIterator[GrpcReceiver]:
    made = GrpcReceiver(tmp_path, certificates)
    await made.start()
    yield made
    await made.kill()
