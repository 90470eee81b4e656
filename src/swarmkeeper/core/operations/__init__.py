"""Operations: one command on many tasks, carried out one by one; see access/operations/."""
