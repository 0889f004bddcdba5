"""Methods: one file each, found by the catalogue in `acutance.methods.spec`."""
