"""Benchmarks: public test sets, one way of running methods on them, tables made from what was measured.

`suites` has the catalogue, `run` measures, `report` makes the tables; `case`, `score`, `rows` hold what they speak of.
"""
