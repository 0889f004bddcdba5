"""Experiments of the papers, run again: one file and one command, `acutance experiment NAME`, for each."""
