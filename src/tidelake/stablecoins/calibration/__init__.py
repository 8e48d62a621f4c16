"""How often windows say already what they will say once they are final, held against their scores."""
