"""Campaigns: who may be called, when, and how often."""
