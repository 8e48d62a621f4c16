"""What the HTML pages of the project share: how they look, and the frame around what they show."""
