"""How far a result can be believed: side-cars, what the data do not support, residuals, uncertainty, the report."""
