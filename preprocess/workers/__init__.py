"""Spread work over the cores of a machine, or over a dask cluster."""
