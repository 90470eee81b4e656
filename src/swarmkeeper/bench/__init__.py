"""Benchmarks of `swarmkeeper bench`. Each report describes the machine it was measured on. Targets and history are in
benchmarks/.
"""
