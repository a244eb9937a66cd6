"""Speaking: accepts nothing but an ``ApprovedLine``."""
