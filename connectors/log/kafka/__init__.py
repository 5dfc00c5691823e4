"""The log on Kafka: topics, reading, writing, and what forward asks of a topic's tail.

``client`` holds how the cluster is reached, ``topics`` what topics there must be, ``log``
the contract of every log, ``consumer`` and ``source`` the fast way of reading,
``producer`` the way of writing, ``forwarded`` what has been moved on already.
"""
