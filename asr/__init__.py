"""Hearing: from a caller's voice to words. Endpointing, the recogniser, the embedded model and its trainer."""
