"""Books and trades of a vendor's files, replayed into one stream of events."""
