"""Work that fetches, imports and exports: planned, run, resumed and reported."""
