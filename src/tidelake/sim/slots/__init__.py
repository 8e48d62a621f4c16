"""A simulated chain that numbers slots: a double of a Solana node over JSON-RPC."""
