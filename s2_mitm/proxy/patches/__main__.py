"""Prints the table of the patches, as the map of the package has it."""

from s2_mitm.proxy.patches.table import VERIFIED, markdown

if __name__ == "__main__":
    print(markdown(), f"Verified with {VERIFIED}.", sep="\n\n")
