"""All that is derived from frames, put together: rules, one asset, a shard of assets."""
