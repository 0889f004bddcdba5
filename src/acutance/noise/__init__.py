"""Noise levels: estimators (`blocks`, `behind_blur`), and what a method is told (`level`)."""
