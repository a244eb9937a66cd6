"""Taking in a lender's files: portfolios and later updates, as CSV or XLSX, row by row or not at all."""
