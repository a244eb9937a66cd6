"""The archive: what was said and heard in every call, and why it was allowed."""
