"""What a replay told of coins, as an HTML page: the story in figures, its charts, and the words around them."""
