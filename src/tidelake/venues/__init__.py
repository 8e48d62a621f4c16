"""What each venue says and how to ask it: one file per venue, pure functions, no sockets and no files."""
