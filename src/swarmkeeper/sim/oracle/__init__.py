"""The invariants: the shadow model, and checks of commits, rows, answers, tenants and shares."""
