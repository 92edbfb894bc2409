"""Figures and the HTML page of a run, from its folder."""
