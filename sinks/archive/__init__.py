"""Frames and events as Delta tables in a folder or a bucket, exactly once.

``encoding`` says how rows look, ``rows`` collects them from log records, ``parts`` puts
them in order and ``files`` into Parquet; ``commit`` adds files and position in one Delta
transaction, ``sink`` is the Bytewax side. ``store`` is where all that stands, ``read``
reads it, ``compact`` makes few files of many.
"""
