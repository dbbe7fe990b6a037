"""What s2-mitm costs, measured: a section a file. `scripts/bench` runs them."""
