"""The founding contract, flows, work, reading and audit pass with a store in PostgreSQL: these are the same tests."""

import pytest

from tests.http.test_audit import *  # noqa: F403
from tests.http.test_bulk import *  # noqa: F403
from tests.http.test_causes import *  # noqa: F403
from tests.http.test_changes import *  # noqa: F403
from tests.http.test_flow import *  # noqa: F403
from tests.http.test_founding import *  # noqa: F403
from tests.http.test_insight import *  # noqa: F403
from tests.http.test_lease_answers import *  # noqa: F403
from tests.http.test_messages import *  # noqa: F403
from tests.http.test_tasks import *  # noqa: F403
from tests.http.test_work import *  # noqa: F403
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server


@pytest.fixture
def store_url() -> str:
    return server().new_store()
