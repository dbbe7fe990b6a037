"""s2-mitm for long, and under what may befall it: a kind a file. `scripts/soak` runs them."""
