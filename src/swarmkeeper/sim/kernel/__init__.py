"""Virtual time and its loop, the clock, chance, the network, faults, and the trace: what a run stands on."""
