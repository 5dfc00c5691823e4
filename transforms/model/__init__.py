"""The words of pm500: asset, profile, quantity, quality, frame, event."""
