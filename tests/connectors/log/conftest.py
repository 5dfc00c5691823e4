from __future__ import annotations

import pytest

# The suite is no test module by its name, yet its asserts should explain themselves.
pytest.register_assert_rewrite("tests.connectors.log.contract_suite")
