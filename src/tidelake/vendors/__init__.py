"""Vendors of historical data: how each lays out its files, and what the columns in them mean; one module each."""
