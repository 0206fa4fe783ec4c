"""Data that the stages hand to one another: no algorithm lives here."""
