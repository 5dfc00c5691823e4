"""Grafana: a provisioned data source and dashboards, and what generates these."""
