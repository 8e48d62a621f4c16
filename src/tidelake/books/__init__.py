"""Order books: messages out of frames, the rules that prove them, and what stands of each book."""
