"""From desired and observed state to ordered steps. Pure: a plan is a value that can be printed."""
