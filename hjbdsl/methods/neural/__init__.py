"""Value functions as networks, trained on the derived equation."""
