"""Approved dialogue scripts as data (``zh/``, ``en/``), their schema, their loader and how slots are spoken."""
