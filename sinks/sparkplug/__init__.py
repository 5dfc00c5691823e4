"""Sparkplug B 3.0 over MQTT: topic, payload, session and backlog are pure."""
