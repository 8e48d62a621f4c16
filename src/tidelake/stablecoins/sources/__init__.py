"""Sources of facts about coins: what is asked of providers, computed from candles, scored from texts."""
