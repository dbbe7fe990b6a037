"""The constraints of PEBC: their message types, and the limits that they allow."""

from __future__ import annotations

CONSTRAINTS = "PEBC.PowerConstraints"
ENERGY = "PEBC.EnergyConstraint"

LIMITS = (("lower_limit", "LOWER_LIMIT"), ("upper_limit", "UPPER_LIMIT"))
"""The limits of an envelope, and the limit_type of the ranges in which they must lie."""
