"""Setting agents up to use prowess, and taking that back to the byte."""
