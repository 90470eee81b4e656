"""What must hold: the shadow model, and the checks of commits, rows, tenants and shares."""
