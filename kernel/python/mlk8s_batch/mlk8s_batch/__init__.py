"""Notebooks without a browser: executed with parameters, recorded, and written as a page that needs no network."""

__version__ = "0.1.0"
