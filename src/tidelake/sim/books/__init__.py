"""Order books of simulated venues: a true book, the venue's words for it, and faults on the way to the receiver."""
