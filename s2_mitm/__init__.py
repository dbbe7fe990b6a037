"""s2-mitm: see what an S2 Resource Manager and its energy manager say to each other, and who is wrong."""

__version__ = "0.1.0"
