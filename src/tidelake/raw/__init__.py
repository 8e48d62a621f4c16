"""The raw log: verbatim frames in sealed segments, and the ledger of what they cover."""
