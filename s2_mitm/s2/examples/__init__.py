"""The examples of the rules, played: which messages they are, and what is found in them."""
