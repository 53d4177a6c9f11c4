"""Screening of solid electrolytes by lattice dynamics: campaigns, descriptors, models."""

__version__ = "0.1.0"
