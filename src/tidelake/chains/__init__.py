"""Chains as dated facts, and pure readers of what their nodes answer: headers, receipts, logs, ABI; no sockets."""
