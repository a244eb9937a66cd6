"""Who speaks when, in a recording that holds both sides on one channel."""
