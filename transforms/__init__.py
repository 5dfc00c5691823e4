"""The pure center: frames, quality, codec, rules, ledger. No socket, file or clock."""
