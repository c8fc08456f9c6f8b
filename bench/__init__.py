"""Size and speed of the operator, measured from outside: `python -m bench`; README.md has the conditions."""
