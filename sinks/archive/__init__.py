"""Frames and events as Delta tables on local disk, exactly once.

``encoding`` says how rows look, ``rows`` collects them from log records, ``commit``
writes Parquet files and the Delta transaction, ``sink`` is the Bytewax side.
"""
