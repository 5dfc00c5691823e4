"""The branch to InfluxDB: own bytes by line protocol, retried by ourselves."""
