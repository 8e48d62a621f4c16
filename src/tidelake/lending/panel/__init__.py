"""The panel: what lending markets hold and what is liquidated in them, market by day, in dollars."""
