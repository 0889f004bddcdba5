"""Training: one visible loop, a TOML configuration, resumable checkpoints, a ledger."""
