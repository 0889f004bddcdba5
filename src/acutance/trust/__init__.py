"""Trust in results: side-cars, what the data do not support, residuals, uncertainty, the report."""
