"""Alerts in the stream: rules, one occurrence of one rule, and all rules of an asset."""
