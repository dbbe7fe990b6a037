"""s2-mitm: see what an RM and a CEM say to each other in S2, and who of them is wrong."""

__version__ = "0.1.0"
