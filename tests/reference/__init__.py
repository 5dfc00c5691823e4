"""The generated parts of the docs: ``make docs`` writes them, a test finds them stale.

They stand among the tests because only these and ``make docs`` need them: docs/ holds
pages and no code, and here mypy and ruff hold them to the rules of everything else.
"""
