"""Predict new clips with a trained run."""
