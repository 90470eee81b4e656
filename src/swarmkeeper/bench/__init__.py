"""Measures this very machine: what `swarmkeeper bench` runs. Every figure comes with what it was measured on, and none
of them decides anything: targets and their history stand in benchmarks/.
"""
