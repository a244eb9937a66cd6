"""Lines to the telephone network, one file a carrier, and the simulated carrier and borrower."""
