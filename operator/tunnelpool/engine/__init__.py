"""Store, queue and controller: what turns events into reconciliations, behind Protocols only."""
