"""The audit log as a transparency log: signed checkpoints, tiles and proofs that other people's tools read (C2SP)."""
