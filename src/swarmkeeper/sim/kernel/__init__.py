"""The base of every run: the virtual-time loop, the clock, random choices, the network, faults and the trace."""
