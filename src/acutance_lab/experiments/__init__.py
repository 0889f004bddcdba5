"""Experiments of the papers, run again: one file and one command, `acutance-lab experiment NAME`, for each."""
