"""Frames of many assets to windows of every length, without a loop over readings."""
