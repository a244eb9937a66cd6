"""The pages for the people who answer for the calls."""
