"""Understanding: what a borrower means and how he feels."""
